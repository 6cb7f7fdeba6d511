import { MillraceError } from './errors.ts';

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const BYTES = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const;

/** Milliseconds, or a number with a unit: `250ms`, `60s`, `5m`, `1h`, `7d`. */
export type Duration = number | `${number}${keyof typeof MILLISECONDS}`;

/** Bytes, or a number with a unit of 1024: `512B`, `64KB`, `2MB`, `1GB`. */
export type ByteSize = number | `${number}${keyof typeof BYTES}`;

export function isDuration(value: string): value is Exclude<Duration, number> {
  return /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(value);
}

export function isByteSize(value: string): value is Exclude<ByteSize, number> {
  return /^\d+(\.\d+)?(B|KB|MB|GB)$/.test(value);
}

export function toMs(duration: Duration): number {
  return typeof duration === 'number' ? duration : scale(duration, MILLISECONDS, 'duration such as 500ms, 60s or 5m');
}

export function toBytes(size: ByteSize): number {
  return typeof size === 'number' ? size : Math.round(scale(size, BYTES, 'size such as 64KB or 2MB'));
}

function scale(text: string, factors: Readonly<Record<string, number>>, wanted: string): number {
  const [, amount, unit = ''] = /^([\d.]+)([A-Za-z]+)$/.exec(text) ?? [];
  const factor = factors[unit];
  if (amount === undefined || factor === undefined) {
    throw new MillraceError('bad-usage', `"${text}" is not a ${wanted}.`);
  }
  return Number(amount) * factor;
}
