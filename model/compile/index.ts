export { compile, type Compiled, type CompileSpec } from './compile.ts';
export { compileProgram, Program, traceable, type FunctionSpec, type InputSpec, type ProgramSpec } from './program.ts';
export type { TensorSpec } from './engine.ts';
export type { OptimizeOptions } from './optimize.ts';
export type { Tensors, Traced } from './trace.ts';
export { unpackedShape } from './passes/unpack-inputs.ts';
