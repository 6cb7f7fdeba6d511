import { count, size, table } from '../../../pipelines/terminal/format.ts';
import type { Figure } from '../report.ts';

export function printFigures(figures: readonly Figure[]): void {
  const cases = [...new Set(figures.map((figure) => figure.case))];
  const find = (name: string, metric: RegExp): Figure | undefined =>
    figures.find((figure) => figure.case === name && metric.test(figure.metric));
  const speeds = cases.flatMap((name) => {
    const bytes = find(name, /^bytesPerSecond$/);
    if (!bytes) return [];
    const perCore = find(name, /PerCoreSecond$/);
    return [
      [name, `${(bytes.value / 1e6).toFixed(1)} MB/s`, rate(find(name, /(records|tokens)PerSecond$/)), rate(perCore)],
    ];
  });
  console.log('1 kB documents, a real broker on this machine\n');
  console.log(table(['case', 'speed', '', 'per busy core'], speeds));
  const ratios = figures.filter(({ metric }) => metric === 'speedRatio');
  console.log(
    table(
      null,
      ratios.map((ratio) => [ratio.case, `${(100 * ratio.value).toFixed(0)} %`]),
    ),
  );
  const peaks = figures.filter(({ metric }) => metric === 'peakOwnBytes');
  const memory = peaks.map((peak) => {
    const settled = find(peak.case, /^settledOwnBytes$/)?.value ?? 0;
    return [peak.case, `${size(settled)} after a tenth, ${size(peak.value)} at most over 0.9 GB`];
  });
  console.log('Own memory (RssAnon) of a process that does nothing else');
  console.log(table(null, memory));
  console.log(
    'Medians of turns that alternate; MB are 1,000,000 bytes of text. Per busy core: of this process, all its',
  );
  console.log('threads together, the brokers are others.');
}

function rate(figure: Figure | undefined): string {
  return figure ? `${count(figure.value)} ${figure.unit}` : '';
}
