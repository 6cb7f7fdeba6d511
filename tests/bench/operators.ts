import { Command } from 'commander';
import { from, lastValueFrom } from 'rxjs';
import type { OperatorFunction } from 'rxjs';
import { dedupe } from '../../operators/dedupe.ts';
import { filter } from '../../operators/filter.ts';
import type { Element } from '../../operators/flow.ts';
import { redact } from '../../operators/redact.ts';
import type { Document } from '../../operators/types.ts';
import { integer } from '../../pipelines/commands/options.ts';
import { sotuRecords } from '../../pipelines/job/feeds/sotu.ts';
import { table } from '../../pipelines/terminal/format.ts';
import { TestSource } from '../support/elements.ts';
import { warnUnlessQuiet } from './quiet.ts';
import { median, printRows, progress } from './report.ts';
import type { Figure } from './report.ts';

interface OperatorsOptions {
  readonly rounds: number;
  readonly bytes: number;
  readonly json?: true;
}

type Cleaning = OperatorFunction<Element<Document>, Element<Document>>;

const CASES: Readonly<Record<string, () => Cleaning>> = {
  redact: () => redact(),
  filter: () => filter(),
  'filter-language': () => filter({ languages: ['en'] }),
  'dedupe-exact': () => dedupe({ near: false }),
  'dedupe-near': () => dedupe(),
  all: () => (flow) => flow.pipe(redact(), filter({ languages: ['en'] }), dedupe()),
};

/** `bench operators`: what the operators that clean documents take of one core. */
export function operatorsBench(): Command {
  return new Command('operators')
    .description('Time the operators that clean documents, over the addresses, by the processor time that they take.')
    .option('--rounds <n>', 'passes over the text', integer(1), 5)
    .option('--bytes <n>', 'of a document, about', integer(1), 1000)
    .option('--json', 'print rows as JSON, one a line')
    .action(operators);
}

async function operators({ rounds, bytes, json }: OperatorsOptions): Promise<void> {
  await warnUnlessQuiet();
  const documents = await documentsOf(bytes);
  const megabytes = documents.reduce((sum, { byteCount }) => sum + byteCount, 0) / 1e6;
  const figures: Figure[] = [];
  for (const [name, operator] of Object.entries(CASES)) {
    progress(name);
    const rates: number[] = [];
    // The first pass compiles.
    for (let round = 0; round <= rounds; round++) {
      const seconds = await processorSeconds(documents, operator());
      if (round > 0) rates.push(megabytes / seconds);
    }
    figures.push({ case: name, metric: 'megabytesPerSecond', value: median(rates), unit: 'MB/s' });
  }
  if (json) return printRows({ bench: 'operators' }, figures);
  console.log(`${megabytes.toFixed(1)} MB in ${documents.length} documents, of a core's time\n`);
  console.log(
    table(
      null,
      figures.map(({ case: name, value, unit }) => [name, `${value.toFixed(1)} ${unit}`]),
    ),
  );
}

/** The addresses, cut. */
async function documentsOf(bytes: number): Promise<readonly Document[]> {
  const texts = (await sotuRecords()).flatMap(({ value }) => {
    const text = Buffer.from(value).toString();
    return Array.from({ length: Math.ceil(text.length / bytes) }, (_, at) => text.slice(at * bytes, (at + 1) * bytes));
  });
  return texts.map((text, offset) => {
    const at = { topic: 'text', partition: 0, offset };
    return { text, byteCount: Buffer.byteLength(text), at, timestampMs: 0 };
  });
}

async function processorSeconds(documents: readonly Document[], operator: Cleaning): Promise<number> {
  const source = new TestSource(Infinity);
  const flow = from(documents.map((document) => source.item(document, document.byteCount)));
  const before = process.cpuUsage();
  await lastValueFrom(flow.pipe(operator), { defaultValue: null });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
