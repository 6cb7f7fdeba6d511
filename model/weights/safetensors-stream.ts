import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { encodeHeader, layOut } from './safetensors-header.ts';
import type { Place } from './safetensors-header.ts';
import type { GivenType } from './narrow.ts';

/** A tensor whose values are only asked for when it is written. */
export interface LaterTensor {
  readonly dtype: GivenType;
  readonly shape: readonly number[];
  /** Called once. Halves come as their bits. */
  readonly take: () => Float32Array | Uint16Array;
}

/** What is read out at once: little enough to be done between two steps of training. */
const leastSliceBytes = 16 * 1024 * 1024;
/** Large models are not written in more slices than this, since each waits for a step to end. */
const mostSlices = 16;
/** One call can't take more. */
const mostBuffers = 512;

/**
 * Writes the same bytes as `writeSafetensors`, slice by slice, so that other work of the process goes on in between. The
 * file has reached the disk when it resolves. Errors of the disk are passed on unchanged.
 */
export async function streamSafetensors(
  path: string,
  tensors: ReadonlyMap<string, LaterTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const places = layOut(tensors);
  const file = await open(path, 'w');
  try {
    await writeAll(file, [encodeHeader({ metadata, places })]);
    for (const slice of slicesOf(places))
      await writeAll(
        file,
        slice.map(({ tensor }) => bytesOf(tensor.take())),
      );
    await file.sync();
  } finally {
    await file.close();
  }
}

function slicesOf<P extends Place>(places: readonly P[]): readonly (readonly P[])[] {
  const sliceBytes = Math.max(leastSliceBytes, (places.at(-1)?.end ?? 0) / mostSlices);
  const slices: P[][] = [];
  for (const place of places) {
    const open = slices.at(-1);
    const start = open?.[0]?.begin ?? 0;
    if (open && place.begin - start < sliceBytes && open.length < mostBuffers) open.push(place);
    else slices.push([place]);
  }
  return slices;
}

/** `writev` may write less than it was given. */
async function writeAll(file: FileHandle, buffers: readonly Uint8Array[]): Promise<void> {
  let left = buffers.filter(({ length }) => length > 0);
  while (left.length > 0) {
    let { bytesWritten: done } = await file.writev(left);
    left = left.flatMap((buffer) => {
      const skipped = Math.min(done, buffer.length);
      done -= skipped;
      return skipped === buffer.length ? [] : [buffer.subarray(skipped)];
    });
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
