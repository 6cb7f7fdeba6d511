import { mkdir } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { exportGguf } from '../../model/interchange/gguf-export.ts';
import { exportHuggingFace } from '../../model/interchange/hugging-face-export.ts';
import type { Exported } from '../../model/interchange/hugging-face-export.ts';
import type { ModelFiles } from '../../model/interchange/open-model.ts';
import type { GivenType } from '../../model/weights/narrow.ts';
import { findModel } from '../interchange/find-model.ts';
import type { WhichWeights } from '../evaluation/saved-weights.ts';
import { replacePath } from '../interchange/replace-path.ts';
import { count } from '../terminal/format.ts';
import { dataDirOption, integer } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface Flags {
  readonly dataDir: string;
  readonly to: string;
  readonly format: 'huggingface' | 'gguf';
  readonly dtype: 'f32' | 'bf16' | 'f16';
  readonly weights?: Exclude<WhichWeights, 'spoken'>;
  readonly merge: number;
  readonly force?: true;
  readonly json?: true;
}

const EXAMPLES = `
The folder is what transformers' from_pretrained reads: config.json, generation_config.json, tokenizer and model.safetensors, as
LlamaForCausalLM or Qwen3ForCausalLM. With --format gguf it is one file for llama.cpp and what is built on it.

Examples:
  millrace export --to model                          the newest checkpoint of the job, which may run
  millrace export 000000012 --to model --dtype bf16
  millrace export --format gguf --dtype f16 --to model.gguf
  millrace export ../elsewhere/000000013-savepoint --to model --force
`;

/** `millrace export`: a checkpoint's model in formats of others. */
export function exportCommand(): Command {
  return new Command('export')
    .description("Write a checkpoint's model for other programs.")
    .argument('[checkpoint]', 'its id in the current job, or its folder; by default the newest')
    .requiredOption('--to <path>', 'where to write it')
    .addOption(
      new Option('--format <format>', "a folder of Hugging Face's, or a file for llama.cpp")
        .choices(['huggingface', 'gguf'])
        .default('huggingface'),
    )
    .addOption(new Option('--dtype <type>', 'of the numbers').choices(['f32', 'bf16', 'f16']).default('f32'))
    .addOption(
      new Option(
        '--weights <which>',
        'the running mean or those of the last step (default: those that answer prompts)',
      ).choices(['ema', 'last']),
    )
    .option('--merge <n>', 'the mean of so many checkpoints, up to this one', integer(1, 100), 1)
    .option('--force', 'replace what is there')
    .addOption(dataDirOption())
    .option('--json', 'print what was written as JSON')
    .addHelpText('after', EXAMPLES)
    .action((checkpoint: string | undefined, flags: Flags) =>
      inSession((session) => exportOne(session, checkpoint, flags)),
    );
}

const TYPES = { f32: 'F32', bf16: 'BF16', f16: 'F16' } as const;

async function exportOne(session: Session, checkpoint: string | undefined, flags: Flags): Promise<void> {
  const { to, format, dtype, force = false, weights = 'spoken', merge, json } = flags;
  const logger = { info: () => {}, warn: (message: string) => console.error(`millrace: ${message}`) };
  const found = await findModel(flags.dataDir, checkpoint, { weights, merge, logger });
  const written: Exported[] = [];
  try {
    await replacePath(to, force, async (aside) => {
      const type = TYPES[dtype];
      written.push(
        await (format === 'gguf' ? exportGguf(found, aside, type, found.name) : writeFolder(found, aside, type)),
      );
    });
  } finally {
    await found.dispose();
  }
  for (const { architecture, parameters } of written) {
    const facts = {
      path: to,
      architecture,
      parameters,
      dtype,
      checkpoint: found.path,
      ema: found.isMean,
      merged: found.merged,
    };
    await session.print(
      json
        ? `${JSON.stringify(facts)}\n`
        : `Wrote ${to}: ${architecture}, ${count(parameters)} parameters in ${dtype}, of ${found.path}${found.isMean ? ' (the running mean)' : ''}${found.merged.length > 1 ? ` and the ${found.merged.length - 1} before it, their mean` : ''}.\n`,
    );
  }
}

async function writeFolder(files: ModelFiles, folder: string, dtype: GivenType): Promise<Exported> {
  await mkdir(folder);
  return exportHuggingFace(files, folder, dtype);
}
