import { Command } from 'commander';
import { currentGraph, graphVersions } from '../redeploy/graph-history.ts';
import type { GraphVersion } from '../redeploy/graph-history.ts';
import { age, duration, oneLine, table } from '../terminal/format.ts';
import { jobOf } from './current-job.ts';
import { dataDirOption } from './options.ts';
import { inSession } from './session.ts';

interface GraphsFlags {
  readonly dataDir: string;
  readonly json?: true;
}

/** `millrace graphs`: the graphs that a job has had. */
export function graphsCommand(): Command {
  return new Command('graphs')
    .description('List the graphs that the job has had: who brought them, when, and what became of them.')
    .addOption(dataDirOption())
    .option('--json', 'print each as JSON, one a line, with the graph and its plan')
    .action(({ dataDir, json }: GraphsFlags) =>
      inSession(async (session) => {
        const job = jobOf(dataDir);
        const current = await currentGraph(job);
        const versions = await graphVersions(job);
        const rows = versions.map((each) => toRow(each, current?.version));
        const lines = versions.map((each) => `${JSON.stringify(each)}\n`).join('');
        await session.print(
          json ? lines : table(['version', 'hash', 'by', 'when', 'how', 'outcome', 'pause', 'note'], rows),
        );
      }),
    );
}

function toRow(each: GraphVersion, current: number | undefined): readonly string[] {
  const { version, hash, by, at, how, pauseMs, note } = each;
  return [
    version === current ? `${version} *` : String(version),
    hash,
    by,
    `${age(Date.now() - Date.parse(at))} ago`,
    how,
    outcomeOf(each),
    pauseMs === null ? '–' : duration(pauseMs),
    note === null ? '' : oneLine(note).slice(0, 80),
  ];
}

function outcomeOf({ outcome, watch }: GraphVersion): string {
  if (outcome !== 'watching' || !watch) return outcome;
  return `watching (${duration(watch.watchedMs)} of ${duration(watch.windowMs)})`;
}
