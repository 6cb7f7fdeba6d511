import type { backend_util, DataId, DataType, Tensor } from '@tensorflow/tfjs-node';
import type { TensorMetadata, TFJSBinding } from '@tensorflow/tfjs-node/dist/tfjs_binding.js';
import { backend } from '../tf.ts';

export type { TensorMetadata, TFEOpAttr, TFJSBinding } from '@tensorflow/tfjs-node/dist/tfjs_binding.js';
export type Values = backend_util.BackendValues;

/*
 * The one file of the compiler that reaches behind tfjs's public face: the backend's binding, which the tracer replaces,
 * and the two private methods that turn tensors into handles of the binding and back.
 */

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

export const binding: TFJSBinding = backend.binding;

/** The binding, or what stands in for it while a function is traced. */
export function currentBinding(): TFJSBinding {
  return backend.binding;
}

/** The binding's handle of a tensor; uploads its values where that has not happened yet. */
export function handleOf(tensor: Tensor): number {
  const [handle] = backend['getInputTensorIds']([tensor]);
  if (handle === undefined) throw new RangeError('The tensor has no handle');
  return handle;
}

/** A tensor that owns a handle of the binding. */
export function tensorOf(metadata: TensorMetadata): Tensor {
  return backend['createOutputTensor'](metadata);
}

export function dtypeNumber(dtype: DataType): number {
  return backend.getDTypeInteger(dtype);
}

/** What takes the binding's place while a function is traced. */
export interface StandIn {
  readonly binding: TFJSBinding;
  /** Told of the values of every tensor that is made from JavaScript. */
  wrote(values: Values): void;
  /** Told when a tensor's values are asked for, before they are known. */
  readAsync(): never;
}

/** Runs `body` with a stand-in for the binding; whatever happens, the real one is back afterwards. */
export function withStandIn<T>(standIn: StandIn, body: () => T): T {
  const move = backend.move.bind(backend);
  backend.binding = standIn.binding;
  backend.move = (dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number) => {
    if (values !== null) standIn.wrote(values);
    move(dataId, values, shape, dtype, refCount);
  };
  backend.read = () => standIn.readAsync();
  try {
    return body();
  } finally {
    backend.binding = binding;
    Reflect.deleteProperty(backend, 'move');
    Reflect.deleteProperty(backend, 'read');
  }
}
