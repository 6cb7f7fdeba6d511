import { ModelError } from '../errors.ts';
import { callerLine } from './caller.ts';
import { binding, type TFEOpAttr } from './engine.ts';
import { typeAttribute, type Attribute, type OutputType } from './ir.ts';

/** Attributes of an operation as the binding got them, in the compiler's form. */
export function readAttributes(op: string, attributes: readonly TFEOpAttr[]): Record<string, Attribute> {
  return Object.fromEntries(attributes.map((attribute) => [attribute.name, readAttribute(op, attribute)]));
}

function readAttribute(op: string, { name, type, value }: TFEOpAttr): Attribute {
  const numbers = Array.isArray(value) ? value.map(Number) : null;
  if (type === binding.TF_ATTR_INT)
    return numbers ? { kind: 'ints', value: numbers } : { kind: 'int', value: Number(value) };
  if (type === binding.TF_ATTR_SHAPE && numbers) return { kind: 'shape', value: numbers };
  if (type === binding.TF_ATTR_TYPE && typeof value === 'number') return typeAttribute(value);
  if (type === binding.TF_ATTR_FLOAT && typeof value === 'number') return { kind: 'float', value };
  if (type === binding.TF_ATTR_BOOL) return { kind: 'bool', value: value === true };
  if (type === binding.TF_ATTR_STRING && typeof value === 'string') return { kind: 'string', value };
  throw new ModelError(
    'trace-failed',
    `${op} has an attribute "${name}" of a kind that a graph can't be given (${type}), called at ${callerLine()}.`,
  );
}

/**
 * Attributes that tfjs leaves out, because eager execution infers them from the inputs. A graph must state them.
 */
export function completeAttributes(
  op: string,
  attributes: Record<string, Attribute>,
  inputs: readonly OutputType[],
  outputs: readonly OutputType[],
): Record<string, Attribute> {
  const completed = { ...attributes };
  for (const [name, infer] of Object.entries(INFERRED[op] ?? {})) completed[name] ??= infer(inputs, outputs);
  return completed;
}

type Infer = (inputs: readonly OutputType[], outputs: readonly OutputType[]) => Attribute;

const input =
  (index: number): Infer =>
  (inputs) =>
    typeAttribute(inputs.at(index)?.dtype ?? 0);
const output: Infer = (_inputs, outputs) => typeAttribute(outputs[0]?.dtype ?? 0);
const count: Infer = (inputs) => ({ kind: 'int', value: inputs.length });

const INFERRED: Readonly<Record<string, Readonly<Record<string, Infer>>>> = {
  AddN: { N: count, T: output },
  ConcatV2: { N: (inputs) => ({ kind: 'int', value: inputs.length - 1 }), T: output, Tidx: input(-1) },
  ExpandDims: { T: output, Tdim: input(1) },
  OnesLike: { T: output },
  Pack: { N: count, T: output },
  Unpack: { T: output, num: (_inputs, outputs) => ({ kind: 'int', value: outputs.length }) },
  ZerosLike: { T: output },
};
