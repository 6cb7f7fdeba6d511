import { dtypeNumber, type TensorSpec } from './engine.ts';
import { DType, ref, typeAttribute, type GraphNode, type OutputType, type Ref } from './ir.ts';

/* The nodes at the edges of a traced function: what is fed, what is fetched, and the variables in between. */

export const TRUE_TYPE: OutputType = { dtype: DType.bool, shape: [] };

export function trueNode(name: string): GraphNode {
  const type = TRUE_TYPE;
  const attributes = {
    dtype: typeAttribute(type.dtype),
    value: { kind: 'tensor', value: { ...type, bytes: Uint8Array.of(1) } },
  } as const;
  return { ...bare(name, 'Const'), attributes, outputs: [type] };
}

/** A value, given out when some nodes have run. */
export function afterNode(name: string, value: Ref, type: OutputType, after: readonly string[]): GraphNode {
  const attributes = { T: typeAttribute(type.dtype) };
  return { ...bare(name, 'Identity'), inputs: [value], attributes, outputs: [type], after };
}

/** Runs nothing, when all others have run. */
export function barrierNode(name: string, after: readonly string[]): GraphNode {
  return { ...bare(name, 'NoOp'), after };
}

export interface VariableNodes {
  readonly handle: GraphNode;
  readonly read: GraphNode;
}

/** The nodes of a variable that lives in the session under its own name, whatever the nodes are called. */
export function variableNodes(nodeName: string, variable: string, { shape, dtype }: TensorSpec): VariableNodes {
  const type = typeAttribute(dtypeNumber(dtype));
  const handle: GraphNode = {
    ...bare(`${nodeName}/handle`, 'VarHandleOp'),
    attributes: {
      dtype: type,
      shape: { kind: 'shape', value: shape },
      shared_name: { kind: 'string', value: variable },
      container: { kind: 'string', value: '' },
    },
    outputs: [{ dtype: DType.resource, shape: [] }],
  };
  const read: GraphNode = {
    ...bare(`${nodeName}/read`, 'ReadVariableOp'),
    inputs: [ref(handle)],
    attributes: { dtype: type },
    outputs: [{ dtype: dtypeNumber(dtype), shape }],
  };
  return { handle, read };
}

export function placeholder(name: string, { shape, dtype }: TensorSpec): GraphNode {
  const type = dtypeNumber(dtype);
  const attributes = { dtype: typeAttribute(type), shape: { kind: 'shape', value: shape } } as const;
  return { ...bare(name, 'Placeholder'), attributes, outputs: [{ dtype: type, shape }] };
}

/** Assigns after the old value was read, so that no reader sees the new one. */
export function assignNode(name: string, { handle, read }: VariableNodes, value: Ref): GraphNode {
  const dtype = read.attributes['dtype'];
  if (dtype === undefined) throw new RangeError(`${read.name} has no type`);
  return { ...bare(name, 'AssignVariableOp'), inputs: [ref(handle), value], attributes: { dtype }, after: [read.name] };
}

function bare(name: string, op: string): GraphNode {
  return { name, op, inputs: [], attributes: {}, outputs: [] };
}

/** A name that TensorFlow accepts within the names of nodes. */
export function slug(name: string): string {
  return name.replace(/[^\w.]/g, '_');
}

export function describe({ dtype, shape }: TensorSpec): string {
  return `${dtype}[${shape.join(', ')}]`;
}
