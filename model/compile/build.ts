import { DType, ref, sizeOf, typeAttribute, type GraphNode, type OutputType, type Ref } from './ir.ts';

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
