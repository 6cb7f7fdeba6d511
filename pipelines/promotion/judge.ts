import type { Bars } from '../spec/promote.ts';
import { figure } from '../terminal/format.ts';

/** What an exam of some weights has come to. */
export interface Results {
  /** On the text that is held out; null where there is none. */
  readonly bitsPerByte: number | null;
  /** Of that text. */
  readonly bytes: number;
  /** Share of the cloze items that were right; null where there are none. */
  readonly passRate: number | null;
  readonly items: number;
}

export interface Judgement {
  readonly passes: boolean;
  /** Why; for one that passes, what it has shown. */
  readonly reasons: readonly string[];
}

/**
 * Whether results clear the bars. They are held against those of each rival: the champion, and the one before it, lest a
 * champion that does worse than it lowers the bar. What could not be measured of either holds nobody up.
 */
export function judge(results: Results, rivals: readonly Results[], bars: Bars): Judgement {
  const { bitsPerByte, passRate } = results;
  const failures: string[] = [];
  if (bitsPerByte !== null && bars.bitsPerByte !== undefined && bitsPerByte > bars.bitsPerByte) {
    failures.push(`${figure(bitsPerByte)} bits per byte, where ${figure(bars.bitsPerByte)} are allowed`);
  }
  const best = bestOf(rivals);
  if (bitsPerByte !== null && best !== null && bitsPerByte > best + bars.margin) {
    failures.push(`${figure(bitsPerByte)} bits per byte, after ${figure(best)} (margin ${bars.margin})`);
  }
  if (passRate !== null && passRate < bars.passRate) {
    failures.push(`${percent(passRate)} of the cloze items right, where ${percent(bars.passRate)} are wanted`);
  }
  if (failures.length > 0) return { passes: false, reasons: failures };
  return { passes: true, reasons: shown(results, best) };
}

function bestOf(rivals: readonly Results[]): number | null {
  const measured = rivals.map(({ bitsPerByte }) => bitsPerByte).filter((each) => each !== null);
  return measured.length > 0 ? Math.min(...measured) : null;
}

function shown({ bitsPerByte, passRate }: Results, best: number | null): readonly string[] {
  const before = best === null ? '' : `, after ${figure(best)}`;
  return [
    ...(bitsPerByte === null ? [] : [`${figure(bitsPerByte)} bits per byte${before}`]),
    ...(passRate === null ? [] : [`${percent(passRate)} of the cloze items right`]),
  ];
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
