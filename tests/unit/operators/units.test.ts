import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteSizeSchema, durationSchema, toBytes, toMs } from '../../../operators/units.ts';
import type { ByteSize, Duration } from '../../../operators/units.ts';

const amount = fc.oneof(
  fc.nat({ max: 10_000 }),
  fc.nat({ max: 100_000 }).map((hundredths) => hundredths / 100),
);

describe('durations', () => {
  it.each<[Duration, number]>([
    [250, 250],
    ['250ms', 250],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])('%s are %d ms', (duration, ms) => {
    expect(toMs(duration)).toBe(ms);
  });

  it('are all read that a graph may hold', () => {
    fc.assert(
      fc.property(amount, fc.constantFrom('ms', 's', 'm', 'h', 'd'), (number, unit) => {
        expect(toMs(durationSchema.parse(`${number}${unit}`))).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('sizes', () => {
  it.each<[ByteSize, number]>([
    [7, 7],
    ['512B', 512],
    ['64KB', 65_536],
    ['0.5MB', 524_288],
    ['1GB', 1_073_741_824],
  ])('%s are %d bytes', (size, bytes) => {
    expect(toBytes(size)).toBe(bytes);
  });

  it('are whole, and all read that a graph may hold', () => {
    fc.assert(
      fc.property(amount, fc.constantFrom('B', 'KB', 'MB', 'GB'), (number, unit) => {
        expect(Number.isInteger(toBytes(byteSizeSchema.parse(`${number}${unit}`)))).toBe(true);
      }),
    );
  });
});

describe.each([
  ['durations', durationSchema, toMs, ['', '5', 's', '5 s', '-5s', '1.2.3s', '.s', '5S', '5KB', '1e3s', 'NaNs']],
  ['sizes', byteSizeSchema, toBytes, ['', '5', 'MB', '5 MB', '-5MB', '1.2.3MB', '.MB', '5mb', '5s', '1e3MB']],
])('%s that are none', (_name, schema, read, bad) => {
  it.each(bad)('"%s" is refused by the schema, with an example', (text) => {
    expect(schema.safeParse(text).error?.issues[0]?.message).toMatch(/such as/);
  });

  it.each(bad)('"%s" is refused when it is read', (text) => {
    // What a caller without types might pass.
    expect(() => Reflect.apply(read, undefined, [text])).toThrow(expect.objectContaining({ code: 'bad-usage' }));
  });

  it('are bare numbers in a graph', () => {
    expect(schema.safeParse(5).success).toBe(false);
  });
});
