import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { encodeSavedModel, TAG } from './encode.ts';
import { binding, currentBinding, handleOf, tensorOf } from './engine.ts';
import type { GraphNode, Ref } from './ir.ts';

/** One TensorFlow session: a graph and the variables that live in it. */
export class Session {
  readonly #id: number;

  constructor(nodes: readonly GraphNode[]) {
    this.#id = load(nodes);
  }

  /** Feeds tensors, runs what the fetched outputs need, and returns them as new tensors. */
  run(feeds: readonly (readonly [Ref, Tensor])[], fetches: readonly Ref[]): Tensor[] {
    const handles = feeds.map(([, tensor]) => handleOf(tensor));
    const names = feeds.map(([name]) => name).join(',');
    return currentBinding().runSavedModel(this.#id, handles, names, fetches.join(',')).map(tensorOf);
  }

  close(): void {
    binding.deleteSavedModel(this.#id);
  }
}

function load(nodes: readonly GraphNode[]): number {
  const directory = mkdtempSync(path.join(tmpdir(), 'millrace-graph-'));
  try {
    writeFileSync(path.join(directory, 'saved_model.pb'), encodeSavedModel(nodes));
    return currentBinding().loadSavedModel(directory, TAG);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ModelError('trace-failed', `TensorFlow did not take the traced graph: ${reason}`, { cause });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
