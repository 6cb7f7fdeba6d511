import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parameterShapes, sizeOf } from '../config.ts';
import type { ModelConfig } from '../config.ts';
import { ModelError } from '../errors.ts';
import { readTokenizerFile } from '../tokenizer/tokenizer-file.ts';
import type { TokenizerFile } from '../tokenizer/tokenizer-file.ts';
import { createTokenizer } from '../tokenizer/tokenizer.ts';
import { openSafetensors } from '../weights/safetensors.ts';
import type { OpenSafetensors } from '../weights/safetensors.ts';
import type { OpenWeights } from '../weights/weights-file.ts';
import { fromHuggingFaceConfig } from './hugging-face-config.ts';

/** A model of a Hugging Face folder. */
export interface ImportedModel extends OpenWeights {
  readonly tokenizer: TokenizerFile;
  /** The token that is taken to stand between documents. */
  readonly endOfText: string;
  /** Rows of the embedding that no token has, as many models have to make its size round: they are left out. */
  readonly rowsLeftOut: number;
}

/** The config that a folder's `config.json` says. Throws `config-invalid`; see `fromHuggingFaceConfig`. */
export function readHuggingFaceConfig(folder: string): ModelConfig {
  const path = join(folder, 'config.json');
  return fromHuggingFaceConfig(readJson(path), path);
}

/**
 * Opens a folder as transformers' `save_pretrained` writes it: weights as safetensors in one file or several, in float32,
 * bfloat16 or float16. Throws `config-invalid`, `tokenizer-invalid`, `weights-corrupt`, or `weights-mismatch` where a tensor
 * is missing or there is one that ours have not. A tensor that is not finite is found when it is taken.
 */
export function openHuggingFace(folder: string): ImportedModel {
  const found = readHuggingFaceConfig(folder);
  const tokenizer = readTokenizerFile(join(folder, 'tokenizer.json'));
  const { vocabSize, endOfText } = createTokenizer(tokenizer);
  if (vocabSize > found.vocabSize) {
    const message = `The tokenizer in ${folder} has ${vocabSize} tokens, but the embedding only ${found.vocabSize} rows. Use the model's own tokenizer.`;
    throw new ModelError('weights-mismatch', message);
  }
  const config = { ...found, vocabSize };
  const shards = openShards(folder);
  try {
    requireTensors(folder, shards, found);
    const shapes = parameterShapes(config);
    return {
      config,
      tokenizer,
      endOfText: tokenizer.added_tokens.find(({ id }) => id === endOfText)?.content ?? '',
      rowsLeftOut: found.vocabSize - vocabSize,
      take(name) {
        const data = shards.of(name)?.read(name).data;
        if (!(data instanceof Float32Array) || !data.every(Number.isFinite)) {
          throw new ModelError('weights-corrupt', `Tensor "${name}" in ${folder} is not finite. Use another copy.`);
        }
        return data.subarray(0, sizeOf(shapes.get(name) ?? []));
      },
      close: () => shards.close(),
    };
  } catch (error) {
    shards.close();
    throw error;
  }
}

/** The files that have the tensors. */
interface Shards {
  readonly names: Iterable<string>;
  of(name: string): OpenSafetensors | undefined;
  close(): void;
}

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** Of files beside the index, and of no others. */
const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+\.safetensors$/)) });

function openShards(folder: string): Shards {
  const indexPath = join(folder, INDEX);
  if (!existsSync(indexPath)) {
    if (!existsSync(join(folder, WEIGHTS))) {
      const message = `${folder} has neither ${WEIGHTS} nor ${INDEX}. Save the model with safetensors (save_pretrained does).`;
      throw new ModelError('weights-mismatch', message);
    }
    const file = openSafetensors(join(folder, WEIGHTS));
    return { names: file.places.keys(), of: () => file, close: () => file.close() };
  }
  const parsed = indexSchema.safeParse(readJson(indexPath));
  if (!parsed.success) {
    throw new ModelError('weights-corrupt', `${indexPath} is no index:\n${z.prettifyError(parsed.error)}`);
  }
  const fileOf = parsed.data.weight_map;
  const open = new Map<string, OpenSafetensors>();
  const close = (): void => open.forEach((file) => file.close());
  try {
    for (const file of new Set(Object.values(fileOf))) open.set(file, openSafetensors(join(folder, file)));
  } catch (error) {
    close();
    throw error;
  }
  return { names: Object.keys(fileOf), of: (name) => open.get(fileOf[name] ?? ''), close };
}

/** Tensors that say nothing that the config does not say. */
const NEEDLESS = /\.rotary_emb\.inv_freq$/;

function requireTensors(folder: string, shards: Shards, config: ModelConfig): void {
  const shapes = parameterShapes(config);
  for (const [name, shape] of shapes) {
    const place = shards.of(name)?.places.get(name);
    const isReadable = place && ['F32', 'F16', 'BF16'].includes(place.dtype);
    if (isReadable && place.shape.join() === shape.join()) continue;
    const there = place ? `${place.dtype} [${place.shape.join(', ')}]` : 'missing';
    const message = `Tensor "${name}" should be F32, F16 or BF16 [${shape.join(', ')}], but is ${there} in ${folder}.`;
    throw new ModelError('weights-mismatch', message);
  }
  for (const name of shards.names) {
    // A tied head may be there once more.
    if (shapes.has(name) || NEEDLESS.test(name) || name === 'lm_head.weight') continue;
    const message = `${folder} has a tensor "${name}", which models of this kind have not: it computes something else.`;
    throw new ModelError('weights-mismatch', message);
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('config-invalid', `Cannot read ${path}: ${why}. Name a folder of a Hugging Face model.`, {
      cause,
    });
  }
}
