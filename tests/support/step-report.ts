import type { StepReport } from '../../operators/index.ts';

/** A report of a step that did well: two bits per byte. */
export const stepReport: StepReport = {
  event: 'step',
  step: 1,
  loss: Math.LN2,
  bitsPerByte: 2,
  gradNorm: 1,
  lr: 0.001,
  tokens: 100,
  bytes: 50,
  totals: { tokens: 100, bytes: 50, bits: 100 },
  skipped: false,
  fault: null,
  attempt: 1,
  spans: [{ topic: 'text', partition: 0, from: 0, to: 4 }],
  timestampMs: 0,
};
