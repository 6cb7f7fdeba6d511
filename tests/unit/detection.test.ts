import { describe, expect, it } from 'vitest';
import { anomalies, withAnomalies } from '../bench/surprise/anomalies.ts';
import { frequencyScores, gzipScores } from '../bench/surprise/baselines.ts';
import { detection } from '../bench/surprise/detection.ts';

describe('detection', () => {
  it('is perfect where every odd line scores above all others', () => {
    expect(detection([1, 5, 2, 4], [false, true, false, true])).toEqual({
      precision: 1,
      recall: 1,
      f1: 1,
      threshold: 4,
      averagePrecision: 1,
    });
  });

  it('takes the threshold of the best F1, and means precision over the odd ones', () => {
    const { precision, recall, threshold, averagePrecision } = detection([9, 8, 7, 6], [true, false, true, false]);
    expect([precision, recall, threshold]).toEqual([2 / 3, 1, 7]);
    expect(averagePrecision).toBeCloseTo((1 + 2 / 3) / 2, 12);
  });

  it('finds lines of one score together, in whatever order they stand', () => {
    for (const odd of [
      [true, false],
      [false, true],
    ]) {
      expect(detection([1, 1], odd)).toMatchObject({ precision: 0.5, recall: 1, averagePrecision: 0.5 });
    }
  });
});

const lines = Array.from({ length: 2000 }, (_, at) => `${at} silly fetch manifest package-${at % 7}@^1.${at % 5}.0`);

describe('lines among which odd ones are put', () => {
  const labelled = withAnomalies(lines, 0.05, 3);

  it('are all there, in their order, with odd ones of each kind, the same for the same seed', () => {
    expect(labelled.filter(({ anomaly }) => anomaly === null).map(({ text }) => text)).toEqual(lines);
    expect(new Set(labelled.map(({ anomaly }) => anomaly))).toEqual(new Set([null, ...anomalies]));
    expect(withAnomalies(lines, 0.05, 3)).toEqual(labelled);
  });

  it.each([
    ['gzip', gzipScores],
    ['words', frequencyScores],
  ])('are told from them by %s better than by chance', (_name, scoresOf) => {
    const scores = scoresOf(labelled.map(({ text }) => text));
    const odd = labelled.map(({ anomaly }) => anomaly !== null);
    expect(detection(scores, odd).averagePrecision).toBeGreaterThan(0.3);
  });
});
