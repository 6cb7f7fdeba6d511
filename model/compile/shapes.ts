import { DType, sizeOf, type Attribute, type OutputType } from './ir.ts';
import { BINARY, COMPARISONS, UNARY } from './op-kinds.ts';

/*
 * Output shapes of the operations that cost most, so that a trace need not run them. All others are run on zeros, which
 * asks TensorFlow itself. A rule returns null where it is not sure: TensorFlow then decides, or reports the mistake.
 */

/** What a rule may ask of an operation. */
interface Question {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly OutputType[];
  /** The integers that an input is known to hold, or null. */
  readonly values: (input: number) => readonly number[] | null;
}

type Rule = (question: Question, first: OutputType) => readonly OutputType[] | null;

/** The outputs of an operation, or null when it must be run to know. */
export function inferOutputs(op: string, question: Question): readonly OutputType[] | null {
  const [first] = question.inputs;
  return first === undefined ? null : (RULES.get(op)?.(question, first) ?? null);
}

const sameAsInput: Rule = (_question, first) => [first];

const broadcast: Rule = ({ inputs }, { dtype }) => {
  return inputs.every((input) => input.dtype === dtype) ? typed(dtype, broadcastAll(inputs)) : null;
};

const compare: Rule = ({ inputs }) => typed(DType.bool, broadcastAll(inputs));

const select: Rule = ({ inputs }) => typed(inputs[1]?.dtype ?? 0, broadcastAll(inputs));

const cast: Rule = ({ attributes }, { shape }) => {
  const to = attributes['DstT'];
  return to?.kind === 'type' ? typed(to.value, shape) : null;
};

const reshape: Rule = ({ values }, { dtype, shape }) => {
  const wanted = values(1);
  if (wanted === null) return null;
  const rest = sizeOf(shape) / sizeOf(wanted.filter((dimension) => dimension >= 0));
  const to = wanted.map((dimension) => (dimension < 0 ? rest : dimension));
  return sizeOf(to) === sizeOf(shape) ? typed(dtype, to) : null;
};

const transpose: Rule = ({ values }, { dtype, shape }) => {
  const permutation = values(1);
  return permutation === null
    ? null
    : typed(
        dtype,
        permutation.map((axis) => shape[axis] ?? 1),
      );
};

const reduce: Rule = ({ attributes, values }, { dtype, shape }) => {
  const axes = values(1)?.map((axis) => (axis < 0 ? axis + shape.length : axis));
  if (axes === undefined) return null;
  if (isSet(attributes['keep_dims']))
    return typed(
      dtype,
      shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension)),
    );
  return typed(
    dtype,
    shape.filter((_, axis) => !axes.includes(axis)),
  );
};

const product: Rule = ({ attributes, inputs }, a) => {
  const [, b] = inputs;
  if (b === undefined || b.dtype !== a.dtype) return null;
  return typed(a.dtype, productShape(a.shape, b.shape, isSet(attributes['adj_x']), isSet(attributes['adj_y'])));
};

const crossEntropy: Rule = (_question, logits) => [{ dtype: logits.dtype, shape: logits.shape.slice(0, 1) }, logits];

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...[...UNARY].map((op): [string, Rule] => [op, sameAsInput]),
  ...[...BINARY, 'AddN'].map((op): [string, Rule] => [op, broadcast]),
  ...[...COMPARISONS].map((op): [string, Rule] => [op, compare]),
  ...['Max', 'Mean', 'Min', 'Prod', 'Sum'].map((op): [string, Rule] => [op, reduce]),
  ['BatchMatMulV2', product],
  ['Cast', cast],
  ['Reshape', reshape],
  ['SelectV2', select],
  ['SparseSoftmaxCrossEntropyWithLogits', crossEntropy],
  ['Transpose', transpose],
]);

function broadcastAll(inputs: readonly OutputType[]): readonly number[] | null {
  return inputs.reduce<readonly number[] | null>(
    (shape, input) => (shape === null ? null : broadcastShapes(shape, input.shape)),
    [],
  );
}

function broadcastShapes(a: readonly number[], b: readonly number[]): readonly number[] | null {
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
