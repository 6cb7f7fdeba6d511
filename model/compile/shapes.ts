import { DType, sameShape, type Attribute, type OutputType } from './ir.ts';
import { BINARY, COMPARISONS, UNARY } from './op-kinds.ts';

/*
 * Output shapes of the operations that cost most, so that a trace need not run them. All others are run on zeros, which
 * asks TensorFlow itself. A rule returns null where it is not sure: TensorFlow then decides, or reports the mistake.
 */

/** The outputs of an operation, or null when it must be run to know. */
export function inferOutputs(
  op: string,
  attributes: Readonly<Record<string, Attribute>>,
  inputs: readonly OutputType[],
): readonly OutputType[] | null {
  const [a, b] = inputs;
  if (a === undefined) return null;
  if (UNARY.has(op) && inputs.length === 1) return [a];
  if (b === undefined || inputs.length !== 2 || a.dtype !== b.dtype) return null;
  if (BINARY.has(op)) return typed(a.dtype, broadcastShapes(a.shape, b.shape));
  if (COMPARISONS.has(op)) return typed(DType.bool, broadcastShapes(a.shape, b.shape));
  if (op === 'BatchMatMulV2') {
    return typed(a.dtype, productShape(a.shape, b.shape, isSet(attributes['adj_x']), isSet(attributes['adj_y'])));
  }
  return null;
}

export function broadcastShapes(a: readonly number[], b: readonly number[]): readonly number[] | null {
  const shape: number[] = [];
  for (let at = 1; at <= Math.max(a.length, b.length); at++) {
    const x = a.at(-at) ?? 1;
    const y = b.at(-at) ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    shape.unshift(x === 1 ? y : x);
  }
  return shape;
}

function productShape(
  a: readonly number[],
  b: readonly number[],
  adjointA: boolean,
  adjointB: boolean,
): readonly number[] | null {
  const [rows, innerA] = lastTwo(a, adjointA);
  const [innerB, columns] = lastTwo(b, adjointB);
  if (rows === undefined || columns === undefined || innerA === undefined || innerA !== innerB) return null;
  const batch = broadcastShapes(a.slice(0, -2), b.slice(0, -2));
  return batch === null ? null : [...batch, rows, columns];
}

function lastTwo(shape: readonly number[], swapped: boolean): readonly (number | undefined)[] {
  if (shape.length < 2) return [];
  return swapped ? [shape.at(-1), shape.at(-2)] : [shape.at(-2), shape.at(-1)];
}

function typed(dtype: DType, shape: readonly number[] | null): readonly OutputType[] | null {
  return shape === null ? null : [{ dtype, shape }];
}

export function isSet(attribute: Attribute | undefined): boolean {
  return attribute?.kind === 'bool' && attribute.value;
}

/** Whether broadcasting one against the other leaves the first as it is. */
export function absorbs(shape: readonly number[], other: readonly number[]): boolean {
  const together = broadcastShapes(shape, other);
  return together !== null && sameShape(together, shape);
}
