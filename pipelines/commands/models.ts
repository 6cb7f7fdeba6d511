import { Command } from 'commander';
import { listModels } from '../promotion/models.ts';
import type { Model } from '../promotion/models.ts';
import { age, count, figure, oneLine, table } from '../terminal/format.ts';
import { jobOf } from './current-job.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';

interface Flags {
  readonly dataDir: string;
  readonly json?: true;
}

const LEGEND = `
The star stands at the one that speaks (the newest, where the graph does not say promote:). overall: bits per byte of all that
the job has trained on, each predicted before it was learnt. held out: those of the exam, and the share of cloze items that were
right.
`;

/** `millrace models`: the snapshots of a job, and what was decided of them. */
export function modelsCommand(): Command {
  return new Command('models')
    .description("List the job's snapshots: how good they are, what was decided of them, and which one speaks.")
    .addOption(dataDirOption())
    .option('--json', 'print each as JSON, one a line')
    .addHelpText('after', LEGEND)
    .action(({ dataDir, json }: Flags) =>
      inSession(async (session) => {
        const job = jobOf(dataDir);
        const models = await listModels(job);
        if (json) return session.print(models.map((each) => `${JSON.stringify(each)}\n`).join(''));
        if (models.length === 0) return session.print(`Job ${job.id} has no snapshots yet.\n`);
        const titles = ['snapshot', 'step', 'saved', 'overall', 'held out', 'cloze', 'verdict', 'because'];
        return session.print(table(titles, models.map(toRow)));
      }),
    );
}

function toRow(model: Model): readonly string[] {
  const { id, isChampion, step, createdAt, bitsPerByteTotal, results, verdict, reasons } = model;
  const passRate = results?.passRate ?? null;
  return [
    isChampion ? `${id} *` : id,
    count(step),
    `${age(Date.now() - Date.parse(createdAt))} ago`,
    figure(bitsPerByteTotal),
    figure(results?.bitsPerByte ?? null),
    passRate === null ? '–' : `${Math.round(passRate * 100)} %`,
    verdict ?? '–',
    oneLine(reasons.join('; ')).slice(0, 80),
  ];
}
