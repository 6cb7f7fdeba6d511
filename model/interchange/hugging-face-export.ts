import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { countParameters, parameterShapes } from '../config.ts';
import { narrowed } from '../weights/narrow.ts';
import type { GivenType } from '../weights/narrow.ts';
import { streamSafetensors } from '../weights/safetensors-stream.ts';
import { architectures, familyOf, toHuggingFaceConfig } from './hugging-face-config.ts';
import { openModel } from './open-model.ts';
import type { ModelFiles } from './open-model.ts';

export interface Exported {
  /** Such as `Qwen3ForCausalLM`. */
  readonly architecture: string;
  readonly parameters: number;
}

/**
 * Writes what Hugging Face's transformers reads into a folder that is there: weights, config and tokenizer. Tensors are
 * read and written one by one. Throws as `openModel` does, and `weights-mismatch` for numbers that f16 can't hold.
 */
export async function exportHuggingFace(files: ModelFiles, folder: string, dtype: GivenType): Promise<Exported> {
  const model = openModel(files);
  try {
    const { config, endOfText, endOfTextName: name } = model;
    const family = familyOf(config);
    const special = { bos_token: name, eos_token: name, pad_token: name };
    const write = (file: string, json: object): void =>
      writeFileSync(join(folder, file), `${JSON.stringify(json, null, 2)}\n`, { flush: true });
    write('config.json', toHuggingFaceConfig(config, { endOfText, dtype }));
    write('generation_config.json', { bos_token_id: endOfText, eos_token_id: endOfText, pad_token_id: endOfText });
    write('special_tokens_map.json', special);
    write('tokenizer_config.json', {
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: config.maxContext,
      clean_up_tokenization_spaces: false,
      ...special,
    });
    copyFileSync(files.tokenizer, join(folder, 'tokenizer.json'));
    const tensors = [...parameterShapes(config)].map(([tensor, shape]) => {
      return [tensor, { dtype, shape, take: () => narrowed(model.take(tensor), dtype, tensor) }] as const;
    });
    await streamSafetensors(join(folder, 'model.safetensors'), new Map(tensors), { format: 'pt' });
    return { architecture: architectures[family], parameters: countParameters(config) };
  } finally {
    model.close();
  }
}
