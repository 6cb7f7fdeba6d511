/*
 * TensorFlow's operations by how they treat shapes. Used to infer shapes without running, and to find chains that XLA
 * can fuse.
 */

/** One input, one output of its shape and type. */
export const UNARY: ReadonlySet<string> = names(
  'Abs Cos Erf Exp Log Log1p Neg OnesLike Reciprocal Relu Rsqrt Sigmoid Sign Sin Softmax Softplus Sqrt Square Tanh ZerosLike',
);

/** Two inputs that are broadcast against one another, output of their type. */
export const BINARY: ReadonlySet<string> = names('Add AddV2 Div Maximum Minimum Mul Pow RealDiv SquaredDifference Sub');

/** Two inputs that are broadcast against one another, output of booleans. */
export const COMPARISONS: ReadonlySet<string> = names('Equal Greater GreaterEqual Less LessEqual NotEqual');

/** Others that are computed entry by entry, or that give entries out of nothing. */
export const OTHER_ELEMENTWISE: ReadonlySet<string> = names(
  'AddN BroadcastTo Cast Fill IsFinite LogicalAnd LogicalNot LogicalOr Range ReluGrad SelectV2 SigmoidGrad TanhGrad',
);

/** Sums and the like over some axes, which the second input names. */
export const REDUCTIONS: ReadonlySet<string> = names('All Any Max Mean Min Prod Sum');

export function names(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}
