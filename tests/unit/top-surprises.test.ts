import { describe, expect, it } from 'vitest';
import { readableView } from '../../pipelines/terminal/record-view.ts';
import { styleFor } from '../../pipelines/terminal/style.ts';
import { topHead, topLines } from '../../pipelines/terminal/surprise-view.ts';
import { PassThrough } from 'node:stream';
import { readPublished } from '../../pipelines/topics/published.ts';
import type { PublishedSurprise } from '../../pipelines/topics/published.ts';
import { TopSurprises, textAt } from '../../pipelines/topics/top-surprises.ts';
import { jsonFormat, plainFormat } from '../../operators/formats.ts';
import type { Coordinates } from '../../operators/types.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { ownValues } from '../support/own-values.ts';

const style = styleFor(new PassThrough());
const surpriseValue = Buffer.from(
  JSON.stringify(ownValues.find(({ schema }) => schema === 'millrace.Surprise')?.value),
);
const alertValue = Buffer.from(JSON.stringify(ownValues.find(({ schema }) => schema === 'millrace.Alert')?.value));

function surpriseOf(offset: number, sigma: number | null): PublishedSurprise {
  const report = readPublished(surpriseValue);
  if (report?.event !== 'surprise') throw new Error('The sample can not be read.');
  return { ...report, at: { ...report.at, offset }, sigma };
}

function at(offset: number): Coordinates {
  return { topic: 'text', partition: 0, offset };
}

describe('the most surprising documents', () => {
  it('are those with the greatest sigma, of equals the earlier one', () => {
    const top = new TopSurprises(3);
    const sigmas = [1, null, 3, 3, 2, 0.5, 9];
    expect(sigmas.map((sigma, offset) => top.add(surpriseOf(offset, sigma)))).toEqual([1, null, 1, 2, 3, null, 1]);
    expect(top.all.map(({ at }) => at.offset)).toEqual([6, 2, 3]);
    expect(top.ranked).toBe(6);
  });

  it('are shown with their text, which cannot command a terminal', () => {
    expect(topLines(2, surpriseOf(7, 6.25), 'a\u001b[2J\nb', style)).toBe(
      ' 2. text/1@7  4.01 bits/byte  +6.3 σ (99.5 %)  " panic" 20.3, the end 9.5\n    a␛[2J b\n',
    );
    expect(topLines(1, surpriseOf(7, 1), null, style)).toContain('no longer there');
    expect(topHead(0, 0)).toContain('No document has a rank yet');
    expect(topHead(1200, 10)).toContain('The 10 most surprising of 1,200');
  });

  it('have the text that their format says, while their record is there', async () => {
    const log = new MemoryLog();
    await log.createTopic('text');
    await log.produce('text', [{ value: '{"text": "said"}' }, { value: 'no json' }, { value: null }]);
    const { signal } = new AbortController();
    const json = { of: () => jsonFormat() };
    expect(await textAt(log, json, at(0), signal)).toBe('said');
    expect(await textAt(log, { of: () => plainFormat }, at(0), signal)).toBe('{"text": "said"}');
    expect(await textAt(log, json, at(1), signal)).toBeNull();
    expect(await textAt(log, json, at(2), signal)).toBeNull();
  });
});

describe('records of surprise and alerts', () => {
  it('take a line each where a topic is followed', () => {
    const view = readableView(style, { nowMs: () => 0 });
    const record = { topic: 't', partition: 0, key: null, headers: {}, timestampMs: 0 };
    const shown = view.show([
      { ...record, offset: 0, value: surpriseValue },
      { ...record, offset: 1, value: alertValue },
    ]);
    expect(shown).toBe(
      'text/1@7  4.01 bits/byte  " panic" 20.3, the end 9.5\nalert drift raised  Source text has moved.\n',
    );
  });
});
