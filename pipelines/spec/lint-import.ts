import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { ModelError } from '../../model/errors.ts';
import { readHuggingFaceConfig } from '../../model/interchange/hugging-face-import.ts';
import type { Graph, GraphHead, ImportSpec, TokenizerSpec } from './graph.ts';
import type { Problem } from './lint.ts';
import type { LintOptions } from './lint-modules.ts';

/** What a graph's model is after its folder has been looked into. */
export interface FoundModel extends Pick<Graph, 'model' | 'tokenizer'> {
  readonly problems: readonly Problem[];
}

const PATH = ['model', 'import'] as const;

/**
 * Reads what a graph's `model.import` names, from beside the graph. An imported model brings its tokenizer, so a graph with
 * one needs to name none.
 */
export function findImport({ model, tokenizer }: GraphHead, json: unknown, options: LintOptions): FoundModel {
  const { import: given, ...rest } = model;
  if (given === undefined) return { model: rest, tokenizer, problems: [] };
  const found = typeof given === 'string' ? importAt(given, options) : given;
  if ('code' in found) return { model: rest, tokenizer, problems: [found] };
  const brought: TokenizerSpec = { kind: 'file', path: join(found.path, 'tokenizer.json') };
  const isNamed = z.object({ tokenizer: z.object({}) }).safeParse(json).success;
  const problems: Problem[] = [];
  if (isNamed && !isDeepStrictEqual(tokenizer, brought)) {
    const message = 'An imported model brings the tokenizer that its weights were made with. Leave this out.';
    problems.push({ code: 'settings-conflict', path: ['tokenizer'], message });
  }
  return { model: { ...rest, import: found }, tokenizer: brought, problems };
}

function importAt(given: string, { directory }: LintOptions): ImportSpec | Problem {
  if (directory === undefined) {
    const message = `${given} is read from beside the graph's file, and this graph comes from none.`;
    return { code: 'import-invalid', path: PATH, message };
  }
  const path = resolve(directory, given);
  try {
    return { path, config: readHuggingFaceConfig(path) };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { code: 'import-invalid', path: PATH, message: error.message };
  }
}
