import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { lockJob } from '../../infra/index.ts';
import { countParameters } from '../../model/config.ts';
import { MillraceError } from '../../operators/errors.ts';
import { beginImport } from '../interchange/begin-import.ts';
import { importingGraph } from '../interchange/importing-graph.ts';
import { currentJob, dataFolder } from '../job/job-folder.ts';
import { adoptGraph } from '../redeploy/adopt-graph.ts';
import { presetOf } from '../spec/preset-of.ts';
import { count } from '../terminal/format.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';
import type { Session } from './session.ts';

interface Flags {
  readonly dataDir: string;
  readonly name?: string;
  readonly fresh?: true;
  readonly json?: true;
}

const EXAMPLES = `
Reads config.json, tokenizer.json and safetensors (one file, or several with their index; f32, bf16 or f16) of a Llama or a Qwen3.
What the model is trained on stands in topic text; prompts and generations are there as in any job. A graph of your own begins
with a model, too, where it says model: { import: FOLDER }.

Examples:
  millrace import SmolLM2-135M
  millrace produce text notes/
  millrace up
`;

/** `millrace import`: begins a job with a model that was trained elsewhere. */
export function importCommand(): Command {
  return new Command('import')
    .description('Begin a job with the model of a Hugging Face folder.')
    .argument('<folder>', "as transformers' save_pretrained writes it")
    .option('--name <name>', "the graph's name, by which the model is asked over HTTP (default: the folder's)")
    .option('--fresh', 'also where the data folder has a job, which stays in its folder')
    .addOption(dataDirOption())
    .option('--json', 'print what was taken in as JSON')
    .addHelpText('after', EXAMPLES)
    .action((folder: string, flags: Flags) => inSession((session) => importFolder(session, folder, flags)));
}

async function importFolder(session: Session, folder: string, flags: Flags): Promise<void> {
  const { dataDir, name = nameOf(folder), fresh = false, json } = flags;
  const { graph, imported } = importingGraph(folder, name);
  const lock = await lockJob(dataDir);
  try {
    const data = dataFolder(dataDir);
    if (!fresh && currentJob(data)) {
      throw new MillraceError(
        'bad-usage',
        `${dataDir} has a job already. Begin another one on the same topics with --fresh, or name another --data-dir.`,
      );
    }
    const job = await beginImport({ data, kind: 'embedded', graph, imported, onWarning });
    await adoptGraph({ job, graph, discard: [], onPlan: () => {}, beforeSwitch: async () => {} });
    const parameters = countParameters(presetOf(graph.model).model);
    const facts = { job: job.id, name, parameters, path: imported.path };
    await session.print(
      json
        ? `${JSON.stringify(facts)}\n`
        : `Job ${job.id} begins with ${count(parameters)} parameters of ${imported.path}.\nTo train it: millrace produce text FILES..., and millrace up.\n`,
    );
  } finally {
    await lock.release();
  }
}

/** A name that a graph may have. */
function nameOf(folder: string): string {
  return basename(resolve(folder)).replaceAll(/[^\w.-]+/g, '-') || 'imported';
}

function onWarning(message: string): void {
  console.error(`millrace: ${message}`);
}
