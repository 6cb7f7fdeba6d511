import * as fc from 'fast-check';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parameterShapes } from '../../model/index.ts';
import { initialWeights } from '../../model/init.ts';
import { exportGguf } from '../../model/interchange/gguf-export.ts';
import { exportHuggingFace } from '../../model/interchange/hugging-face-export.ts';
import { fromHuggingFaceConfig, toHuggingFaceConfig } from '../../model/interchange/hugging-face-config.ts';
import { openHuggingFace } from '../../model/interchange/hugging-face-import.ts';
import { byteTokenizerFile, trainTokenizer, writeTokenizerFile } from '../../model/tokenizer/tokenizer-file.ts';
import { narrowed } from '../../model/weights/narrow.ts';
import type { GivenType } from '../../model/weights/narrow.ts';
import { streamSafetensors } from '../../model/weights/safetensors-stream.ts';
import { readSafetensors } from '../../model/weights/safetensors.ts';
import { writeWeights } from '../../model/weights/weights-file.ts';
import { lintGraph } from '../../pipelines/index.ts';
import { tinyConfig, variants } from '../numerics/tiny-model.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-interchange-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

describe('numbers in fewer bits', () => {
  test('every half and every bfloat that is finite stays what it is', async () => {
    const all = Uint16Array.from({ length: 0x1_0000 }, (_, bits) => bits);
    for (const [dtype, exponent] of [
      ['F16', 0x7c00],
      ['BF16', 0x7f80],
    ] as const) {
      const finite = all.filter((bits) => (bits & exponent) !== exponent);
      const tensor = { dtype, shape: [finite.length], take: () => finite };
      await streamSafetensors(narrowFile(), new Map([['x', tensor]]));
      const { data } = readSafetensors(narrowFile()).tensors.get('x') ?? { data: new Float32Array() };
      expect(narrowed(Float32Array.from(data, Number), dtype, 'x')).toEqual(finite);
    }
  });

  test('others become the nearest, and the even one of two that are as near', async () => {
    const number = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true, min: -65_000, max: 65_000 }),
      fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e-4), max: Math.fround(1e-4) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(number, { minLength: 1, maxLength: 20 }), async (numbers) => {
        const values = Float32Array.from(numbers);
        const found = await widened(values, 'F16');
        values.forEach((value, at) => {
          // Steps between halves: 2^-24 at least, and 2^-10 of the power of two below.
          const step = 2 ** Math.max(-24, Math.floor(Math.log2(Math.abs(value) || 1)) - 10);
          const steps = value / step;
          const below = Math.floor(steps);
          const even = below % 2 === 0 ? below : below + 1;
          const nearest = steps - below === 0.5 ? even : Math.round(steps);
          expect(found[at]).toBe(nearest * step);
        });
      }),
      { numRuns: 200 },
    );
    expect(await widened(Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -3e38), 'BF16')).toEqual(
      Float32Array.of(1, 1 + 2 ** -6, -226 * 2 ** 120),
    );
  });

  test('what f16 can not hold is refused', () => {
    expect(() => narrowed(Float32Array.of(1, 65_520), 'F16', 'x')).toThrow(/"x" holds numbers beyond/);
  });
});

describe('config.json', () => {
  const known = variants.filter(({ config }) => config.activation === 'swiglu');
  test.each(known)('says all of the config: $name', ({ config }) => {
    const json: unknown = JSON.parse(JSON.stringify(toHuggingFaceConfig(config, { endOfText: 256, dtype: 'F32' })));
    expect(fromHuggingFaceConfig(json, 'it')).toEqual(config);
  });

  const llama = toHuggingFaceConfig({ ...tinyConfig, qkNorm: false }, { endOfText: 0, dtype: 'F32' });

  test('may leave out what transformers has a default for, and spell rope_theta as version 5 does', () => {
    const { rope_theta: _theta, num_key_value_heads: _heads, head_dim: _dim, ...short } = llama;
    const json = { ...short, rope_parameters: { rope_type: 'default', rope_theta: 500_000 } };
    expect(fromHuggingFaceConfig(json, 'it')).toMatchObject({ kvHeads: 4, headDim: 2, ropeTheta: 500_000 });
  });

  test.each([
    [{ model_type: 'qwen2' }, /model_type is "qwen2"/],
    [{ attention_bias: true }, /attention_bias is true/],
    [{ mlp_bias: true }, /mlp_bias is true/],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    [{ use_sliding_window: true }, /use_sliding_window is true/],
    [{ quantization_config: { bits: 4 } }, /quantization_config/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0.5/],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, /rope_scaling asks for "linear"/],
    [{ rope_parameters: { rope_type: 'llama3', rope_theta: 5e5 } }, /rope_parameters asks for "llama3"/],
    [{ hidden_size: 'wide' }, /hidden_size/],
  ])('is refused by the name of the field: %j', (field, reason) => {
    expect(() => fromHuggingFaceConfig({ ...llama, ...field }, 'it')).toThrow(reason);
  });
});

describe('a folder', () => {
  const config = { ...tinyConfig, vocabSize: 257 };
  const weights = initialWeights(config, 7);

  async function exported(name: string, dtype: GivenType = 'F32'): Promise<string> {
    const folder = join(scratch, name);
    mkdirSync(folder, { recursive: true });
    const files = { weights: join(scratch, `${name}.safetensors`), tokenizer: join(scratch, `${name}.json`) };
    writeWeights(files.weights, { config, weights });
    writeTokenizerFile(files.tokenizer, byteTokenizerFile());
    await exportHuggingFace(files, folder, dtype);
    return folder;
  }

  test.each(['F32', 'F16', 'BF16'] as const)('comes back as it went, but for bits: %s', async (dtype) => {
    const model = openHuggingFace(await exported(`back-${dtype}`, dtype));
    expect(model).toMatchObject({ config, endOfText: '<|endoftext|>', rowsLeftOut: 0 });
    for (const name of parameterShapes(config).keys()) {
      const [before, after] = [weights.get(name) ?? new Float32Array(), model.take(name)];
      const error = Math.max(...after.map((value, at) => Math.abs(value - (before[at] ?? NaN))));
      expect(error).toBeLessThanOrEqual({ F32: 0, F16: 1e-3, BF16: 1e-2 }[dtype]);
      expect(after).toHaveLength(before.length);
    }
    model.close();
  });

  test.each([{ activation: 'relu2' }, { logitSoftCap: 15 }] as const)(
    'is refused for what others lack: %j',
    async (other) => {
      const files = { weights: join(scratch, 'fast.safetensors'), tokenizer: join(scratch, 'fast.json') };
      const fast = { ...config, ...other };
      writeWeights(files.weights, { config: fast, weights: initialWeights(fast, 7) });
      writeTokenizerFile(files.tokenizer, byteTokenizerFile());
      const [field = ''] = Object.keys(other);
      await expect(exportHuggingFace(files, scratch, 'F32')).rejects.toThrow(field);
      await expect(exportGguf(files, join(scratch, 'fast.gguf'), 'F32', 'fast')).rejects.toThrow(field);
    },
  );

  test('may have its tensors in several files, none of them elsewhere', async () => {
    const folder = await exported('parts');
    renameSync(join(folder, 'model.safetensors'), join(folder, 'part-1.safetensors'));
    const index = join(folder, 'model.safetensors.index.json');
    writeFileSync(index, indexOf('part-1.safetensors'));
    const model = openHuggingFace(folder);
    expect(model.take('model.norm.weight')).toEqual(weights.get('model.norm.weight'));
    model.close();
    writeFileSync(index, indexOf('../parts.safetensors'));
    expect(() => openHuggingFace(folder)).toThrow(/is no index/);
    writeFileSync(index, indexOf('part-2.safetensors'));
    expect(() => openHuggingFace(folder)).toThrow(/Cannot read the weights in .*part-2/);
  });

  test('is refused where it holds other tensors, or another tokenizer', async () => {
    const folder = await exported('other');
    const path = join(folder, 'model.safetensors');
    const bias = { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) } as const;
    const { tensors } = readSafetensors(path);
    const write = (entries: Iterable<readonly [string, { shape: readonly number[]; data: unknown }]>): Promise<void> =>
      streamSafetensors(
        path,
        new Map(
          [...entries].map(([name, { shape, data }]) => [
            name,
            { dtype: 'F32', shape, take: () => (data instanceof Float32Array ? data : new Float32Array()) },
          ]),
        ),
      );
    await write([...tensors, ['model.layers.0.self_attn.q_proj.bias', bias]]);
    expect(() => openHuggingFace(folder)).toThrow(/has a tensor "model\.layers\.0\.self_attn\.q_proj\.bias"/);
    await write([...tensors].filter(([name]) => name !== 'model.norm.weight'));
    expect(() => openHuggingFace(folder)).toThrow(/"model\.norm\.weight" should be .* but is missing/);
    await write(
      [...tensors].map(([name, tensor]) => [name, { ...tensor, data: new Float32Array(tensor.data.length).fill(NaN) }]),
    );
    const model = openHuggingFace(folder);
    expect(() => model.take('model.norm.weight')).toThrow(/not finite/);
    model.close();

    writeTokenizerFile(join(folder, 'tokenizer.json'), trainTokenizer(['the mill the mill'], 260));
    expect(() => openHuggingFace(folder)).toThrow(/has 26\d tokens, but the embedding only 257 rows/);
  });

  test('is the model of a graph that names it, as it was when the graph was read', async () => {
    const folder = await exported('named');
    const { graph: read, findings } = lintGraph(graphOf('{ import: named }'), { directory: scratch });
    expect(findings).toEqual([]);
    expect(read?.model.import).toEqual({ path: folder, config });
    expect(read?.tokenizer).toEqual({ kind: 'file', path: join(folder, 'tokenizer.json') });
    expect(refused(graphOf('{ import: nowhere }'), scratch)).toEqual([['import-invalid', 'model.import']]);
    expect(refused(graphOf('{ import: named }'))).toEqual([['import-invalid', 'model.import']]);
    expect(refused(`${graphOf('{ import: named }')}tokenizer: { kind: bytes }`, scratch)).toEqual([
      ['settings-conflict', 'tokenizer'],
    ]);
  });
});

function narrowFile(): string {
  return join(scratch, 'narrow.safetensors');
}

/** What a reader makes of them. */
async function widened(values: Float32Array, dtype: GivenType): Promise<Float32Array> {
  const tensor = { dtype, shape: [values.length], take: () => narrowed(values, dtype, 'x') };
  await streamSafetensors(narrowFile(), new Map([['x', tensor]]));
  return Float32Array.from(readSafetensors(narrowFile()).tensors.get('x')?.data ?? [], Number);
}

function indexOf(file: string): string {
  const names = [...parameterShapes(tinyConfig).keys()];
  return JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, file])) });
}

function graphOf(model: string): string {
  return `
name: mine
model: ${model}
topics: { text: {} }
streams:
  learn:
    - { uid: text, ingest: { topics: [text] } }
    - { uid: decode, decode: {} }
    - { uid: tokenize, tokenize: {} }
    - { uid: pack, batch: {} }
    - { uid: train, trainStep: {} }
    - { uid: checkpoint, checkpoint: {} }
`;
}

function refused(text: string, directory?: string): unknown {
  return lintGraph(text, directory === undefined ? {} : { directory }).findings.map(({ code, path }) => [code, path]);
}

test('a model that Hugging Face has no class for is not exported, and the field named', () => {
  const facts = { endOfText: 0, dtype: 'F32' } as const;
  expect(() => toHuggingFaceConfig({ ...tinyConfig, activation: 'relu2' }, facts)).toThrow(/`activation: relu2`/);
  expect(() => toHuggingFaceConfig({ ...tinyConfig, logitSoftCap: 30 }, facts)).toThrow(/`logitSoftCap: 30`/);
});
