import { InvalidArgumentError, Option } from 'commander';
import { durationSchema, toMs } from '../../operators/units.ts';
import { partialBarsSchema, withBars } from '../spec/deploy.ts';
import type { Bars } from '../spec/deploy.ts';
import { isBroker } from '../spec/kafka.ts';
import { parseEngineWords } from '../spec/engine-words.ts';
import type { EngineWords } from '../spec/engine-words.ts';
import type { From } from '../topics/follow.ts';

/** Parsers of option values. What they refuse is bad usage: commander prints the reason, and the exit code is 2. */

export function dataDirOption(): Option {
  return new Option('--data-dir <folder>', 'folder of the log and the jobs')
    .env('MILLRACE_DATA_DIR')
    .default('.millrace');
}

export function brokersOption(): Option {
  return new Option(
    '--brokers <list>',
    "Kafka brokers (host:port, commas between) that have the topics, not the folder's log",
  )
    .env('MILLRACE_KAFKA_BROKERS')
    .argParser(brokers);
}

export function engineOption(): Option {
  return new Option(
    '--engine <words>',
    'how steps are carried out: auto, eager, or for instance bf16,xla,threads=2 (see README, The model)',
  )
    .env('MILLRACE_ENGINE')
    .argParser(engine);
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number ${range(min, max)}.`);
  };
}

/** A number from `min` to `max`. */
export function decimal(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number ${range(min, max)}.`);
  };
}

/** A duration with its unit, such as `5s`, in milliseconds. */
export function milliseconds(text: string): number {
  const parsed = durationSchema.safeParse(text);
  if (parsed.success) return toMs(parsed.data);
  throw new InvalidArgumentError('It must be a duration with a unit, such as 500ms, 60s or 5m.');
}

/** A port of this machine, or `host:port`. */
export function httpPlace(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:(?:\[(.+)\]|([^:]*)):)?(\d+)$/.exec(text) ?? [];
  if (port !== '' && Number(port) < 65_536) return { host: bracketed || plain || '127.0.0.1', port: Number(port) };
  throw new InvalidArgumentError('It must be a port such as 8080, or host:port such as 127.0.0.1:8080.');
}

/** `earliest`, `latest` or an offset. */
export function from(text: string): From {
  if (text === 'earliest' || text === 'latest') return text;
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new InvalidArgumentError('It must be earliest, latest, or an offset such as 1200.');
}

/** Of an option that may be given again: all of its values. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

/** A bar as `name=number`; may be given again. */
export function bar(text: string, previous: Partial<Bars>): Partial<Bars> {
  const [name = '', value = ''] = text.split('=');
  const parsed = partialBarsSchema.safeParse({ ...previous, [name]: value === '' ? value : Number(value) });
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(
    `It must be one of ${Object.keys(withBars()).join(', ')} with a number, such as bitsPerByte=1.05.`,
  );
}

function brokers(text: string): readonly string[] {
  const list = text.split(',').map((each) => each.trim());
  if (list.every((each) => isBroker(each))) return list;
  throw new InvalidArgumentError('It must be brokers as host:port, with commas between.');
}

function engine(text: string): EngineWords {
  const words = parseEngineWords(text);
  if (words) return words;
  throw new InvalidArgumentError(
    'It must be auto, eager, or of f32, bf16, xla, no-xla, threads=N, with commas between.',
  );
}

function range(min: number, max: number): string {
  return max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
}
