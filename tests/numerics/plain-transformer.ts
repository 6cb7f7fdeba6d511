import { parameterShapes } from '../../model/index.ts';
import type { ModelConfig } from '../../model/index.ts';
import type { Values } from '../../model/step-runner.ts';

type Vector = readonly number[];

/**
 * The model once more, one row in plain numbers of double precision, written after the formulas and not after the
 * tensor code: what the latter is checked against.
 */
export function plainForward(weights: Values, config: ModelConfig, ids: readonly number[]): number[][] {
  const { heads, kvHeads, headDim } = config;
  const matrix = (name: string): Vector[] => {
    const [rows = 0, columns = 0] = parameterShapes(config).get(`${name}.weight`) ?? [];
    const values = [...(weights.get(`${name}.weight`) ?? [])];
    return Array.from({ length: rows }, (_, row) => values.slice(row * columns, (row + 1) * columns));
  };
  const gain = (name: string): Vector => [...(weights.get(`${name}.weight`) ?? [])];
  const norm = (x: Vector, gains: Vector): number[] => {
    const rms = Math.sqrt(dot(x, x) / x.length + config.rmsNormEps);
    return x.map((value, i) => (value / rms) * (gains[i] ?? NaN));
  };
  const turn = (x: Vector, position: number): number[] =>
    x.map((value, i) => {
      const half = headDim / 2;
      const angle = position * config.ropeTheta ** ((-2 * (i % half)) / headDim);
      const partner = i < half ? -(x[i + half] ?? NaN) : (x[i - half] ?? NaN);
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  const headOf = (x: Vector, head: number): Vector => x.slice(head * headDim, (head + 1) * headDim);

  const embedding = matrix('model.embed_tokens');
  let stream = ids.map((id) => [...(embedding[id] ?? [])]);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    const before = stream.map((x) => norm(x, gain(`${at}.input_layernorm`)));
    const project = (name: string, x: Vector, head: number): Vector =>
      headOf(apply(matrix(`${at}.self_attn.${name}_proj`), x), head);
    const placed = (name: string, x: Vector, head: number, position: number): number[] => {
      const raw = project(name, x, head);
      return turn(config.qkNorm ? norm(raw, gain(`${at}.self_attn.${name}_norm`)) : raw, position);
    };
    stream = stream.map((x, position) => {
      const mixed = Array.from({ length: heads }, (_, head) => {
        const keyHead = Math.floor(head / (heads / kvHeads));
        const query = placed('q', before[position] ?? [], head, position);
        const past = before.slice(0, position + 1);
        const scores = past.map((y, other) => dot(query, placed('k', y, keyHead, other)) / Math.sqrt(headDim));
        const shares = softmax(scores);
        return past
          .map((y, other) => project('v', y, keyHead).map((value) => value * (shares[other] ?? NaN)))
          .reduce(add);
      });
      return add(x, apply(matrix(`${at}.self_attn.o_proj`), mixed.flat()));
    });
    stream = stream.map((x) => {
      const y = norm(x, gain(`${at}.post_attention_layernorm`));
      const up = apply(matrix(`${at}.mlp.up_proj`), y);
      const within =
        config.activation === 'relu2'
          ? up.map((z) => Math.max(z, 0) ** 2)
          : apply(matrix(`${at}.mlp.gate_proj`), y).map((z, i) => (z / (1 + Math.exp(-z))) * (up[i] ?? NaN));
      return add(x, apply(matrix(`${at}.mlp.down_proj`), within));
    });
  }
  const head = config.tieEmbeddings ? embedding : matrix('lm_head');
  const cap = config.logitSoftCap;
  const held = (logit: number): number => (cap === null ? logit : cap * Math.tanh(logit / cap));
  return stream.map((x) => apply(head, norm(x, gain('model.norm'))).map(held));
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
}

function add(a: Vector, b: Vector): number[] {
  return a.map((value, i) => value + (b[i] ?? NaN));
}

function apply(rows: readonly Vector[], x: Vector): number[] {
  return rows.map((row) => dot(row, x));
}

function softmax(scores: Vector): number[] {
  const powers = scores.map(Math.exp);
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
