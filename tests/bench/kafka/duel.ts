import { median, progress } from '../report.ts';
import type { Figure } from '../report.ts';
import type { Pace } from './pace.ts';

/** One way of doing something; each turn begins anew. */
export interface Contender {
  readonly name: string;
  readonly unit: 'records' | 'tokens';
  turn(): Promise<Pace>;
}

/** Until the compiler has seen what there is to see. */
const WARM_UP_ROUNDS = 2;

/**
 * Gives the contenders a turn each per round, after some that do not count, so that a machine that changes its pace does
 * so for all. Where there are several, the first is what the others are compared with, round by round.
 */
export async function duel(contenders: readonly Contender[], rounds: number): Promise<Figure[]> {
  const paces = new Map<Contender, Pace[]>(contenders.map((contender) => [contender, []]));
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    for (const contender of contenders) {
      const pace = await contender.turn();
      progress(`${contender.name}: ${(bytesPerSecond(pace) / 1e6).toFixed(1)} MB/s${round < 0 ? ' (warming up)' : ''}`);
      if (round >= 0) paces.get(contender)?.push(pace);
    }
  }
  const of = (contender: Contender): readonly Pace[] => paces.get(contender) ?? [];
  const [measure, ...others] = contenders;
  return [
    ...contenders.flatMap((contender) => speeds(contender, of(contender))),
    ...others.flatMap((other) => (measure ? ratio(other.name, of(other), measure.name, of(measure)) : [])),
  ];
}

function speeds({ name, unit }: Contender, paces: readonly Pace[]): readonly Figure[] {
  const figure = (metric: string, unitOfIt: string, valueOf: (pace: Pace) => number): Figure => {
    return { case: name, metric, value: median(paces.map(valueOf)), unit: unitOfIt };
  };
  return [
    figure('bytesPerSecond', 'bytes/s', bytesPerSecond),
    figure(`${unit}PerSecond`, `${unit}/s`, ({ items, seconds }) => items / seconds),
    figure(`${unit}PerCoreSecond`, `${unit}/s`, ({ items, coreSeconds }) => items / coreSeconds),
  ];
}

function ratio(name: string, paces: readonly Pace[], measure: string, others: readonly Pace[]): readonly Figure[] {
  const ratios = paces.map((pace, round) => bytesPerSecond(pace) / bytesPerSecond(others[round] ?? pace));
  return [{ case: `${name} / ${measure}`, metric: 'speedRatio', value: median(ratios), unit: 'fraction' }];
}

function bytesPerSecond({ bytes, seconds }: Pace): number {
  return bytes / seconds;
}
