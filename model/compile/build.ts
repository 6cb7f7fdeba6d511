import { boolAttribute, DType, ref, sizeOf, typeAttribute, type GraphNode, type OutputType, type Ref } from './ir.ts';

/* Nodes that passes add. */

export function castNode(name: string, input: Ref, from: OutputType, to: DType): GraphNode {
  return {
    name,
    op: 'Cast',
    inputs: [input],
    attributes: { SrcT: typeAttribute(from.dtype), DstT: typeAttribute(to), Truncate: { kind: 'bool', value: false } },
    outputs: [{ dtype: to, shape: from.shape }],
  };
}

/** A reshape and the constant that it needs. */
export function reshapeNodes(
  name: string,
  input: Ref,
  from: OutputType,
  shape: readonly number[],
): [GraphNode, GraphNode] {
  const constant = intConstant(`${name}/shape`, shape);
  const node: GraphNode = {
    name,
    op: 'Reshape',
    inputs: [input, ref(constant)],
    attributes: { T: typeAttribute(from.dtype), Tshape: typeAttribute(DType.int32) },
    outputs: [{ dtype: from.dtype, shape }],
  };
  return [constant, node];
}

export function transposeNodes(
  name: string,
  input: Ref,
  from: OutputType,
  permutation: readonly number[],
): [GraphNode, GraphNode] {
  const constant = intConstant(`${name}/permutation`, permutation);
  const node: GraphNode = {
    name,
    op: 'Transpose',
    inputs: [input, ref(constant)],
    attributes: { T: typeAttribute(from.dtype), Tperm: typeAttribute(DType.int32) },
    outputs: [{ dtype: from.dtype, shape: permutation.map((axis) => from.shape[axis] ?? 1) }],
  };
  return [constant, node];
}

export function unaryNode(name: string, op: string, input: Ref, type: OutputType): GraphNode {
  return { name, op, inputs: [input], attributes: { T: typeAttribute(type.dtype) }, outputs: [type] };
}

/** Two inputs, broadcast against one another to the type. */
export function binaryNode(name: string, op: string, inputs: readonly Ref[], type: OutputType): GraphNode {
  return { name, op, inputs, attributes: { T: typeAttribute(type.dtype) }, outputs: [type] };
}

/** A sum or the like; the second input is the constant of the axes. */
export function reductionNode(
  name: string,
  op: string,
  inputs: readonly Ref[],
  type: OutputType,
  keepsAxes = true,
): GraphNode {
  const attributes = {
    T: typeAttribute(type.dtype),
    Tidx: typeAttribute(DType.int32),
    keep_dims: boolAttribute(keepsAxes),
  };
  return { name, op, inputs, attributes, outputs: [type] };
}

/** A part of the input, of the type's shape, from an offset on each axis; and the constants that it needs. */
export function sliceNodes(
  name: string,
  input: Ref,
  type: OutputType,
  begin: readonly number[],
): [GraphNode, GraphNode, GraphNode] {
  const from = intConstant(`${name}/begin`, begin);
  const size = intConstant(`${name}/size`, type.shape);
  const node: GraphNode = {
    name,
    op: 'Slice',
    inputs: [input, ref(from), ref(size)],
    attributes: { T: typeAttribute(type.dtype), Index: typeAttribute(DType.int32) },
    outputs: [type],
  };
  return [from, size, node];
}

export function floatConstant(name: string, value: number): GraphNode {
  const type = { dtype: DType.float32, shape: [] };
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return {
    name,
    op: 'Const',
    inputs: [],
    attributes: { dtype: typeAttribute(DType.float32), value: { kind: 'tensor', value: { ...type, bytes } } },
    outputs: [type],
  };
}

export function intConstant(name: string, values: readonly number[]): GraphNode {
  const type = { dtype: DType.int32, shape: [values.length] };
  const bytes = new Uint8Array(Int32Array.from(values).buffer);
  return {
    name,
    op: 'Const',
    inputs: [],
    attributes: { dtype: typeAttribute(DType.int32), value: { kind: 'tensor', value: { ...type, bytes } } },
    outputs: [type],
  };
}

/** The integers that a constant holds, or null for any other node. */
export function intValues(node: GraphNode): readonly number[] | null {
  const value = node.attributes['value'];
  if (node.op !== 'Const' || value?.kind !== 'tensor' || value.value.dtype !== DType.int32) return null;
  const { bytes, shape } = value.value;
  return Array.from(new Int32Array(bytes.slice().buffer, 0, sizeOf(shape)));
}
