import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { tf } from '../tf.ts';
import { withStandIn, type TensorSpec } from './engine.ts';
import { ref, sameShape, type Graph, type GraphNode, type Ref } from './ir.ts';
import {
  afterNode,
  assignNode,
  barrierNode,
  describe,
  placeholder,
  slug,
  TRUE_TYPE,
  trueNode,
  variableNodes,
} from './nodes.ts';
import type { VariableNodes } from './nodes.ts';
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
    recorder.requireNothingRead();
    const assigns = assignNodes(request, prefix, recorder, variables.handles, result.assign ?? {});
    const done = doneNodes(prefix, assigns);
    const fetches = Object.entries(result.outputs).map(([name, tensor], at): [string, GraphNode] => {
      const { ref: value, type } = recorder.find(tensor);
      return [name, afterNode(`${prefix}out_${at}_${slug(name)}`, value, type, [done.all.name])];
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
  const all = barrierNode(
    `${prefix}done`,
    assigns.map(({ name }) => name),
  );
  const yes = trueNode(`${prefix}yes`);
  return { all, yes, signal: afterNode(`${prefix}signal`, ref(yes), TRUE_TYPE, [all.name]) };
}
