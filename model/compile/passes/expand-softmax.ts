import { binaryNode, intConstant, reductionNode, unaryNode } from '../build.ts';
import { type Graph } from '../ir.ts';
import { rewriteGraph } from '../rewrite.ts';

/** Writes a softmax over the last axis as what it consists of, so that other passes can improve its reductions. */
export function expandSoftmax(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rebuilt) => {
    const [input] = node.inputs;
    const [type] = node.outputs;
    if (node.op !== 'Softmax' || input === undefined || type === undefined) return node;
    const axis = rebuilt.add(intConstant(`${node.name}/axis`, [type.shape.length - 1]));
    const rowType = { ...type, shape: [...type.shape.slice(0, -1), 1] };
    const greatest = rebuilt.add(reductionNode(`${node.name}/greatest`, 'Max', [input, axis], rowType));
    const shifted = rebuilt.add(binaryNode(`${node.name}/shifted`, 'Sub', [input, greatest], type));
    const powers = rebuilt.add(unaryNode(`${node.name}/powers`, 'Exp', shifted, type));
    const sum = rebuilt.add(reductionNode(`${node.name}/sum`, 'Sum', [powers, axis], rowType));
    return [rebuilt.add(binaryNode(`${node.name}/weights`, 'RealDiv', [powers, sum], type))];
  });
}
