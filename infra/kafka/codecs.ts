import kafkajs from 'kafkajs';
import type { CompressionTypes as CompressionType } from 'kafkajs';

const { CompressionCodecs, CompressionTypes } = kafkajs;

/** How batches may be compressed on their way to the brokers, which keep them so. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export const compressions: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

export function compressionType(compression: Compression): CompressionType {
  switch (compression) {
    case 'none':
      return CompressionTypes.None;
    case 'gzip':
      return CompressionTypes.GZIP;
    case 'snappy':
      return CompressionTypes.Snappy;
    case 'lz4':
      return CompressionTypes.LZ4;
    case 'zstd':
      return CompressionTypes.ZSTD;
  }
}

/** As kafkajs calls it: with something that holds what is to be compressed. */
interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Uint8Array>;
  decompress(bytes: Buffer): Promise<Uint8Array>;
}

/**
 * Teaches kafkajs, whose own are only gzip and none, the other codecs. What they need is loaded with the first batch that
 * needs it: a machine without the native library of lz4 does without until then.
 *
 * zstd is compressed by the reference implementation as WebAssembly and decompressed by one in JavaScript, since the
 * former takes only frames that say how long they are, and those of Java don't.
 */
export function registerCodecs(): void {
  CompressionCodecs[CompressionTypes.Snappy] = () => snappy;
  CompressionCodecs[CompressionTypes.LZ4] = () => lz4;
  CompressionCodecs[CompressionTypes.ZSTD] = () => zstd;
}

const snappy: Codec = {
  compress: async (encoder) => (await snappyCodec()).compress(encoder),
  decompress: async (bytes) => (await snappyCodec()).decompress(bytes),
};

async function snappyCodec(): Promise<Codec> {
  return (await import('kafkajs-snappy')).default();
}

const lz4: Codec = {
  compress: async ({ buffer }) => (await import('lz4-napi')).compressFrame(buffer),
  decompress: async (bytes) => (await import('lz4-napi')).decompressFrame(bytes),
};

const zstd: Codec = {
  async compress({ buffer }) {
    const { Zstd } = await import('@hpcc-js/wasm-zstd');
    return Buffer.from((await Zstd.load()).compress(buffer));
  },
  async decompress(bytes) {
    const { decompress } = await import('fzstd');
    return asBuffer(decompress(bytes));
  },
};

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
