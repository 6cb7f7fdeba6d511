import type { Tensor } from '@tensorflow/tfjs-node';
import { compile } from '../../model/compile/index.ts';
import { tf } from '../../model/tf.ts';
import type { Peaks, Precision } from './matmul-peak.ts';

const SIZES = [512, 1024, 2048];
/** Products that follow from one another in one call, so that what surrounds them weighs little. */
const CHAIN = 8;
const RUNS = 10;

/** FLOP/s of the fastest size. */
function peakOf(precision: Precision): number {
  return Math.max(...SIZES.map((size) => (2 * size ** 3 * CHAIN * 1000) / fastestMs(size, precision)));
}

function fastestMs(size: number, precision: Precision): number {
  const matrix = { shape: [size, size], dtype: 'float32' } as const;
  const chain = compile(
    ({ a, b }) => {
      let product: Tensor = a;
      for (let i = 0; i < CHAIN; i++) product = tf.matMul(product, b);
      return { outputs: { sum: product.sum() } };
    },
    { inputs: { a: matrix, b: matrix }, precision },
  );
  // Products of such matrices neither vanish nor grow.
  const [a, b] = [tf.randomNormal([size, size]), tf.randomNormal([size, size], 0, size ** -0.5)];
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    const { sum } = chain({ a, b });
    sum.dataSync();
    sum.dispose();
    return performance.now() - start;
  });
  chain.dispose();
  tf.dispose([a, b]);
  return Math.min(...times);
}

const peaks: Peaks = { f32: peakOf('f32'), bf16: peakOf('bf16') };
console.log(JSON.stringify(peaks));
