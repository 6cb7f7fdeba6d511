import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteTokenizerFile, createTokenizer, respellingOf, trainTokenizer } from '../../../model/index.ts';
import type { TokenizerFile } from '../../../model/index.ts';
import { Packer } from '../../../operators/packer.ts';
import type { TokenBatch, TokenizedDocument } from '../../../operators/types.ts';
import { batchFromJson, batchToJson, waitingBatchSchema } from '../../../operators/train-state.ts';
import { respellBatch } from '../../../operators/respell-batch.ts';
import { generateKind } from '../../../operators/generate.ts';

const bytes = byteTokenizerFile();
const words = trainTokenizer(['the mill grinds the wheat of the miller, the mill of the river. '.repeat(20)], 300);

function bytesIn(file: TokenizerFile, tokens: ArrayLike<number>): Buffer {
  return Buffer.from(createTokenizer(file).decode(Int32Array.from(tokens)));
}

async function documentOf(file: TokenizerFile, text: string, offset: number): Promise<TokenizedDocument> {
  const tokenizer = createTokenizer(file);
  const tokens = await tokenizer.encode(text);
  const tokenBytes = Uint16Array.from(tokens, (token) => tokenizer.decode(Int32Array.of(token)).byteLength);
  return { tokens, tokenBytes, at: { topic: 'text', partition: 0, offset }, timestampMs: offset };
}

/** Targets that count, in order. */
function counted(batches: readonly TokenBatch[]): number[] {
  return batches.flatMap(({ targets, lossMask }) => [...targets].filter((_, at) => (lossMask[at] ?? 0) > 0));
}

describe('a vocabulary that takes the place of another', () => {
  test('keeps tokens with the same bytes, and spells the others', () => {
    const forth = respellingOf(bytes, words);
    expect(forth.rows).toHaveLength(createTokenizer(words).vocabSize);
    expect(forth.rows[97]).toBe(97);
    expect(forth.endOfText).toBe(createTokenizer(words).endOfText);
    expect(forth.spelled[createTokenizer(bytes).endOfText]).toEqual([forth.endOfText]);
    for (const [token, parts] of forth.rows.entries()) {
      expect(bytesIn(bytes, [parts].flat())).toEqual(bytesIn(words, [token]));
    }
    const back = respellingOf(words, bytes);
    // End of text is spelled by itself, which stands for no bytes.
    for (const [token, parts] of back.spelled.entries()) {
      expect(bytesIn(bytes, parts)).toEqual(bytesIn(words, [token]));
    }
    expect(back.rows.every((row, token) => row === (token === 256 ? forth.endOfText : token))).toBe(true);
  });

  test.each([
    ['from bytes to words', bytes, words],
    ['from words to bytes', words, bytes],
  ])('%s: every byte that was packed is trained once, in the same order', async (_name, from, to) => {
    const respelling = respellingOf(from, to);
    const text = fc.array(fc.constantFrom('the mill', ' grinds', ' é', ' of the river', 'x'), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), fc.boolean(), async (texts, isolate) => {
        const shape = { rows: 2, context: 8, isolate };
        const documents = await Promise.all(texts.map((parts, offset) => documentOf(from, parts.join(''), offset)));
        const packer = new Packer({ ...shape, endOfText: createTokenizer(from).endOfText });
        const waiting = documents.flatMap((document) => packer.add(document));

        const anew = waiting.flatMap((batch) =>
          respellBatch(waitingBatchSchema.parse(batchToJson(batch)), respelling).map((each) =>
            batchFromJson(waitingBatchSchema.parse(each)),
          ),
        );
        const options = { ...shape, endOfText: respelling.endOfText };
        const restored = Packer.restored(options, Packer.respelled(shape, packer.snapshot(), respelling));
        // What is full already survives another cut before it is emitted.
        const again = Packer.restored(options, restored.snapshot());
        const last = await documentOf(to, 'z'.repeat(40), texts.length);
        const batches = [...anew, ...again.add(last)];
        const seen = bytesIn(to, counted(batches)).toString('latin1');
        const whole = Buffer.from(`${texts.map((parts) => parts.join('')).join('')}${'z'.repeat(40)}`).toString(
          'latin1',
        );
        expect(whole.startsWith(seen)).toBe(true);
        expect(seen.length).toBeGreaterThan(whole.length - 40);
        expect(batches.reduce((sum, { byteCount }) => sum + byteCount, 0)).toBe(seen.length);
        const parts = texts.map(() => '');
        for (const { targets, pieces = [], byteCount } of batches) {
          for (const [index, { at, from: start, to: end, bytes: size, begins, ends }] of pieces.entries()) {
            expect(start).toBe(pieces[index - 1]?.to ?? 0);
            const part = bytesIn(to, targets.subarray(start, end)).toString('latin1');
            expect(size).toBe(part.length);
            if (at.offset === texts.length) continue;
            expect(begins).toBe(parts[at.offset] === '');
            parts[at.offset] += part;
            expect(ends).toBe(
              parts[at.offset] === Buffer.from(texts[at.offset]?.join('') ?? '').toString('latin1') &&
                targets[end - 1] === options.endOfText,
            );
          }
          expect(pieces.reduce((sum, piece) => sum + piece.bytes, 0)).toBe(byteCount);
        }
        expect(parts.join('')).toBe(whole.slice(0, whole.length - 40));
        for (const { ids, targets, lossMask, segments } of batches) {
          const follows = ids.map((id, index) =>
            index > 0 && (lossMask[index] ?? 0) > 0 ? (targets[index - 1] ?? -1) : id,
          );
          expect(ids).toEqual(follows);
          expect(ids).toHaveLength(16);
          expect(segments !== undefined).toBe(isolate);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('prompts that have no whole answer yet say the same', async () => {
    const tokens = [...(await createTokenizer(words).encode('the mill é'))];
    const prompt = { id: 'a', at: { topic: 'prompts', partition: 0, offset: 1 }, tokens };
    const settings = { maxTokens: 1, temperature: 0, topK: 0, topP: 1, seed: 0 };
    const snapshot = { state: { unfinished: [{ ...prompt, ...settings }] } };
    const shape = { rows: 1, context: 8 };
    const spelled = [...(await createTokenizer(bytes).encode('the mill é'))];
    expect(generateKind.respelled(snapshot, respellingOf(words, bytes), {}, shape)).toMatchObject({
      state: { unfinished: [{ ...prompt, tokens: spelled, ...settings }] },
    });
  });
});
