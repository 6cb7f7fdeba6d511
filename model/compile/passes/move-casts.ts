import { castNode } from '../build.ts';
import { DType, nodeOf, ref, typeAttribute, type Graph, type GraphNode, type OutputType, type Ref } from '../ir.ts';
import { inOrder, rewriteGraph, type Rebuilt } from '../rewrite.ts';

/**
 * Lets data move as bfloat16 where it comes from or goes to a bfloat16 product: a widening cast sinks below the reshapes,
 * transposes, slices, joins and look-ups behind it, a narrowing one rises above those before it, and where the two meet both go.
 */
export function moveCasts(graph: Graph): Graph {
  return riseNarrowing(sinkWidening(graph));
}

/** Operations that take entries of their first input as they are, and the attribute that names its type. */
const PICKS: ReadonlyMap<string, string> = new Map([
  ['GatherV2', 'Tparams'],
  ['Reshape', 'T'],
  ['Slice', 'T'],
  ['Transpose', 'T'],
]);
const MOVES: ReadonlySet<string> = new Set(['Reshape', 'Transpose']);

function sinkWidening(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rebuilt) => {
    const [input, ...rest] = node.inputs;
    const [type] = node.outputs;
    if (input === undefined || type === undefined) return node;
    if (node.op === 'ConcatV2') return joinNarrow(node, rebuilt);
    const before = rebuilt.producer(input);
    const [source] = before.inputs;
    if (!isCast(before, DType.bfloat16, DType.float32) || source === undefined) return node;
    if (isCast(node, DType.float32, DType.bfloat16)) return [source];
    if (!PICKS.has(node.op)) return node;
    const moved = retype({ ...node, name: `${node.name}/bf16`, inputs: [source, ...rest] }, DType.bfloat16);
    return castNode(node.name, rebuilt.add(moved), typeOf(moved), DType.float32);
  });
}

/** Joins what was widened before it is. */
function joinNarrow(node: GraphNode, rebuilt: Rebuilt): GraphNode {
  const parts = node.inputs.slice(0, -1).map((input) => rebuilt.producer(input));
  if (!parts.every((part) => isCast(part, DType.bfloat16, DType.float32))) return node;
  const inputs = [...parts.flatMap((part) => part.inputs), ...node.inputs.slice(-1)];
  const joined = retype({ ...node, name: `${node.name}/bf16`, inputs }, DType.bfloat16);
  return castNode(node.name, rebuilt.add(joined), typeOf(joined), DType.float32);
}

/** Works from the back, so that a cast rises through a whole chain. */
function riseNarrowing(graph: Graph): Graph {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const replaced = new Map<Ref, Ref>();
  const added: GraphNode[] = [];
  const rise = (input: Ref): Ref => {
    const mover = nodes.get(nodeOf(input));
    const [source, ...rest] = mover?.inputs ?? [];
    const type = mover?.outputs[0];
    if (mover === undefined || type === undefined) throw new RangeError(`The graph has no output ${input}`);
    const known = replaced.get(input);
    if (known !== undefined) return known;
    let narrow: GraphNode;
    if (MOVES.has(mover.op) && source !== undefined) {
      narrow = retype({ ...mover, name: `${mover.name}/narrow`, inputs: [rise(source), ...rest] }, DType.bfloat16);
    } else {
      const output = mover.outputs[Number(input.slice(input.lastIndexOf(':') + 1))] ?? type;
      narrow = castNode(`${input.replace(':', '.')}/narrowed`, input, output, DType.bfloat16);
    }
    added.push(narrow);
    replaced.set(input, ref(narrow));
    return ref(narrow);
  };
  const rewritten = rewriteGraph(graph, (node): GraphNode | readonly Ref[] => {
    const [input] = node.inputs;
    return input !== undefined && isCast(node, DType.float32, DType.bfloat16) ? [rise(input)] : node;
  });
  return { ...graph, nodes: inOrder([...rewritten.nodes, ...added]) };
}

function isCast({ op, attributes }: GraphNode, from: DType, to: DType): boolean {
  return op === 'Cast' && attributes['SrcT']?.value === from && attributes['DstT']?.value === to;
}

function retype(node: GraphNode, dtype: DType): GraphNode {
  const outputs = node.outputs.map(({ shape }) => ({ dtype, shape }));
  const attribute = PICKS.get(node.op) ?? 'T';
  return { ...node, attributes: { ...node.attributes, [attribute]: typeAttribute(dtype) }, outputs };
}

function typeOf(node: GraphNode): OutputType {
  return node.outputs[0] ?? { dtype: 0, shape: [] };
}
