import { ModelError } from '../errors.ts';

/** Types in which weights are given to others; training is in float32. */
export type GivenType = 'F32' | 'F16' | 'BF16';

/** The largest number that an IEEE half rounds to a finite one is below this. */
const HALF_OVERFLOW = 65_520;

/**
 * Values in another type, rounded to nearest, ties to even. Throws `weights-mismatch` for a number that is too large for an
 * IEEE half.
 */
export function narrowed(values: Float32Array, dtype: GivenType, name: string): Float32Array | Uint16Array {
  if (dtype === 'F32') return values;
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'BF16') return Uint16Array.from(bits, bfloatOf);
  if (!values.every((value) => Math.abs(value) < HALF_OVERFLOW)) {
    throw new ModelError('weights-mismatch', `"${name}" holds numbers beyond the range of f16: use bf16 or f32.`);
  }
  return Uint16Array.from(bits, halfOf);
}

/** The upper half of a finite float32's bits, rounded. */
export function bfloatOf(bits: number): number {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The IEEE half nearest to a float32 that it can hold, both by their bits. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fff_ffff;
  // From 2^-14 on both are normal: the exponent's bias goes from 127 to 15, and 13 bits of the fraction are rounded away.
  if (size >= 0x3880_0000) return sign | ((size + 0xfff + ((size >>> 13) & 1) - 0x3800_0000) >>> 13);
  // Below, a half counts in steps of 2^-24; shifts take their count modulo 32, so what is 0 anyway is left out.
  const shift = 126 - (size >>> 23);
  if (shift > 24) return sign;
  const fraction = (size & 0x7f_ffff) | 0x80_0000;
  const whole = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (whole + (rest > middle || (rest === middle && (whole & 1) === 1) ? 1 : 0));
}
