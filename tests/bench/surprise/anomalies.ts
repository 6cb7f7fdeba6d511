import { randomFrom } from '../../support/random.ts';

/** A line of a log, and what is odd about it; null for one that is as it was. */
export interface LabelledLine {
  readonly text: string;
  readonly anomaly: Anomaly | null;
}

export type Anomaly = 'foreign' | 'fault' | 'host' | 'corrupted' | 'shuffled' | 'blob';

type Random = () => number;

/** Lines that are in no debug log of npm. */
const FOREIGN: readonly ((random: Random) => string)[] = [
  (random) =>
    `kernel: [${number(random, 99_999)}.${number(random, 999_999)}] Out of memory: Killed process ${number(random, 9999)} (node)`,
  (random) =>
    `sshd[${number(random, 9999)}]: Failed password for root from ${address(random)} port ${number(random, 65_535)} ssh2`,
  (random) => `Traceback (most recent call last): File "/srv/app/worker.py", line ${number(random, 900)}, in handle`,
  (random) => `at Object.<anonymous> (/srv/app/dist/server.js:${number(random, 900)}:${number(random, 80)})`,
  (random) => `{"level":"fatal","pid":${number(random, 9999)},"msg":"connection refused","code":"ECONNREFUSED"}`,
];

/** What npm itself says when something is wrong; none of it is in these logs. */
const FAULTS: readonly ((random: Random) => string)[] = [
  (random) => `${number(random, 5000)} error code E${pick(random, ['NOSPC', 'INTEGRITY', 'ACCES', 'PERM'])}`,
  (random) =>
    `${number(random, 5000)} verbose stack Error: sha512 integrity checksum failed for tarball ${number(random, 99)}.tgz`,
  (random) =>
    `${number(random, 5000)} warn deprecated left-pad@1.${number(random, 9)}.0: use String.prototype.padStart()`,
  (random) => `${number(random, 5000)} http fetch GET 503 attempt ${number(random, 3)} failed with 503`,
];

/** Each makes an odd line, some of them out of a line that is as it should be. */
const makers: Readonly<Record<Anomaly, (line: string, random: Random) => string>> = {
  foreign: (_line, random) => pick(random, FOREIGN)(random),
  fault: (_line, random) => pick(random, FAULTS)(random),
  /** One of the same kind, of a host that was never asked. */
  host: (_line, random) =>
    `${number(random, 5000)} http fetch GET 200 http://${address(random)}/${word(random)} ${number(random, 900)}ms (cache miss)`,
  /** A tenth of its characters are others. */
  corrupted: (line, random) =>
    Array.from(line, (char) => (random() < 0.1 ? String.fromCharCode(33 + Math.floor(random() * 94)) : char)).join(''),
  /** Its words stand in another order. */
  shuffled: (line, random) => shuffled(line.split(' '), random).join(' '),
  /** A secret that slipped in. */
  blob: (line, random) => `${line} ${Array.from({ length: 40 }, () => pick(random, BASE64)).join('')}`,
};

const BASE64 = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');

export const anomalies: readonly Anomaly[] = ['foreign', 'fault', 'host', 'corrupted', 'shuffled', 'blob'];

/** The lines with so many odd ones per line of them put between, of all kinds, at places that chance says. */
export function withAnomalies(lines: readonly string[], share: number, seed: number): readonly LabelledLine[] {
  const random = randomFrom(seed);
  return lines.flatMap((text): LabelledLine[] => {
    const line = { text, anomaly: null };
    if (random() >= share) return [line];
    const anomaly = pick(random, anomalies);
    const model = pick(random, lines);
    const odd = makers[anomaly](model, random);
    // What chance has left as it was is not odd.
    return odd === model ? [line] : [line, { text: odd, anomaly }];
  });
}

function number(random: Random, below: number): number {
  return Math.floor(random() * below);
}

function address(random: Random): string {
  return Array.from({ length: 4 }, () => number(random, 256)).join('.');
}

function word(random: Random): string {
  return Array.from({ length: 4 + number(random, 6) }, () => String.fromCharCode(97 + number(random, 26))).join('');
}

function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[number(random, from.length)];
  if (chosen === undefined) throw new Error('There is nothing to pick from.');
  return chosen;
}

function shuffled<T>(values: readonly T[], random: Random): readonly T[] {
  const keys = values.map((value) => ({ value, key: random() }));
  return keys.toSorted((one, other) => one.key - other.key).map(({ value }) => value);
}
