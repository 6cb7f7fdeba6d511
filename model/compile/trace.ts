import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { tf } from '../tf.ts';
import { dtypeNumber, withStandIn, type TensorSpec } from './engine.ts';
import { ref, sameShape, typeAttribute, type Graph, type GraphNode, type Ref } from './ir.ts';
import { Recorder } from './recorder.ts';

export type Specs = Readonly<Record<string, TensorSpec>>;
export type Tensors<K extends string = string> = Readonly<Record<K, Tensor>>;

/** What a traced function returns: what a call gives back, and what variables hold from then on. */
export interface Traced<O extends string = string> {
  readonly outputs: Tensors<O>;
  /** New values by variable; variables that are not named keep theirs. All change together, at the end of the call. */
  readonly assign?: Tensors;
}

export interface TraceRequest {
  readonly name: string;
  readonly inputs: Specs;
  readonly variables: Specs;
  readonly captured: readonly Tensor[];
  fn(inputs: Tensors, variables: Tensors): Traced;
}

/** A traced function: its graph, and the nodes to feed and to fetch. */
export interface TracedFunction {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Ref>;
  readonly fetches: ReadonlyMap<string, Ref>;
  /** Fetched by calls without outputs: true, when all is assigned. */
  readonly done: Ref;
}

/**
 * Runs a function once on placeholders and records what it asks of TensorFlow, gradients included. Nothing is computed,
 * and when it returns no tensor of the trace is left. Throws `trace-failed` for what a graph cannot hold.
 */
export function trace(request: TraceRequest): TracedFunction {
  const prefix = `${slug(request.name)}/`;
  const recorder = new Recorder(prefix);
  try {
    for (const tensor of request.captured) recorder.capture(tensor);
    return withStandIn(recorder, () => recordWithin(request, prefix, recorder));
  } finally {
    recorder.dispose();
  }
}

function recordWithin(request: TraceRequest, prefix: string, recorder: Recorder): TracedFunction {
  let traced: TracedFunction | undefined;
  tf.tidy(() => {
    const inputs = placeholders(request.inputs, prefix, recorder);
    const variables = reads(request.variables, prefix, recorder);
    const result = request.fn(inputs.tensors, variables.tensors);
    if (result instanceof Promise) throw new ModelError('trace-failed', `${request.name} must not be asynchronous.`);
    const assigns = assignNodes(request, prefix, recorder, variables.handles, result.assign ?? {});
    const done = doneNodes(prefix, assigns);
    const fetches = Object.entries(result.outputs).map(([name, tensor], at): [string, GraphNode] => {
      const { ref: value, type } = recorder.find(tensor);
      const attributes = { T: typeAttribute(type.dtype) };
      const node = {
        ...bare(`${prefix}out_${at}_${slug(name)}`, 'Identity'),
        inputs: [value],
        attributes,
        outputs: [type],
      };
      return [name, { ...node, after: [done.all.name] }];
    });
    const ends = [...assigns, done.all, done.yes, done.signal, ...fetches.map(([, node]) => node)];
    traced = {
      graph: {
        nodes: [...recorder.nodes, ...ends],
        results: [
          ...inputs.feeds.map(([, node]) => node.name),
          done.signal.name,
          ...fetches.map(([, node]) => node.name),
        ],
      },
      feeds: new Map(inputs.feeds.map(([name, node]) => [name, ref(node)])),
      fetches: new Map(fetches.map(([name, node]): [string, Ref] => [name, ref(node)])),
      done: ref(done.signal),
    };
  });
  if (traced === undefined) throw new ModelError('trace-failed', `${request.name} was not traced.`);
  return traced;
}

function placeholders(
  specs: Specs,
  prefix: string,
  recorder: Recorder,
): { tensors: Tensors; feeds: [string, GraphNode][] } {
  const feeds = Object.entries(specs).map(([name, spec], at): [string, GraphNode] => [
    name,
    placeholder(`${prefix}in_${at}_${slug(name)}`, spec),
  ]);
  const tensors = Object.fromEntries(feeds.map(([name, node]) => [name, recorder.introduce(node)]));
  return { tensors, feeds };
}

function reads(
  specs: Specs,
  prefix: string,
  recorder: Recorder,
): { tensors: Tensors; handles: Map<string, VariableNodes> } {
  const handles = new Map<string, VariableNodes>();
  const tensors = Object.fromEntries(
    Object.entries(specs).map(([name, spec], at) => {
      const nodes = variableNodes(`${prefix}${at}_${slug(name)}`, name, spec);
      handles.set(name, nodes);
      recorder.nodes.push(nodes.handle);
      return [name, recorder.introduce(nodes.read)];
    }),
  );
  return { tensors, handles };
}

function assignNodes(
  request: TraceRequest,
  prefix: string,
  recorder: Recorder,
  handles: ReadonlyMap<string, VariableNodes>,
  assign: Tensors,
): readonly GraphNode[] {
  return Object.entries(assign).map(([name, tensor], at) => {
    const variable = handles.get(name);
    const spec = request.variables[name];
    if (variable === undefined || spec === undefined) {
      throw new ModelError('trace-failed', `${request.name} assigns ${name}, which is not among its variables.`);
    }
    if (!sameShape(tensor.shape, spec.shape) || tensor.dtype !== spec.dtype) {
      const [is, got] = [describe(spec), describe(tensor)];
      throw new ModelError('trace-failed', `${request.name} assigns ${got} to the variable ${name}, which is ${is}.`);
    }
    return assignNode(`${prefix}assign_${at}_${slug(name)}`, variable, recorder.find(tensor).ref);
  });
}

/** Calls cannot fetch an operation without outputs, so there is a value that stands for all assignments. */
function doneNodes(
  prefix: string,
  assigns: readonly GraphNode[],
): { all: GraphNode; yes: GraphNode; signal: GraphNode } {
  const all: GraphNode = { ...bare(`${prefix}done`, 'NoOp'), after: assigns.map(({ name }) => name) };
  const yes = trueNode(`${prefix}yes`);
  return { all, yes, signal: afterNode(`${prefix}signal`, yes, [all.name]) };
}

export function trueNode(name: string): GraphNode {
  const type = { dtype: dtypeNumber('bool'), shape: [] };
  const attributes = {
    dtype: typeAttribute(type.dtype),
    value: { kind: 'tensor', value: { ...type, bytes: Uint8Array.of(1) } },
  } as const;
  return { ...bare(name, 'Const'), attributes, outputs: [type] };
}

/** The value of another node, given out when some nodes have run. */
export function afterNode(name: string, value: GraphNode, after: readonly string[]): GraphNode {
  const attributes = { T: typeAttribute(value.outputs[0]?.dtype ?? 0) };
  return { ...bare(name, 'Identity'), inputs: [ref(value)], attributes, outputs: value.outputs, after };
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
    outputs: [{ dtype: dtypeNumber('string'), shape: [] }],
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

export function bare(name: string, op: string): GraphNode {
  return { name, op, inputs: [], attributes: {}, outputs: [] };
}

/** A name that TensorFlow accepts within the names of nodes. */
export function slug(name: string): string {
  return name.replace(/[^\w.]/g, '_');
}

export function describe({ dtype, shape }: TensorSpec): string {
  return `${dtype}[${shape.join(', ')}]`;
}
