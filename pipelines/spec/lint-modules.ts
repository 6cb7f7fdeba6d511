import { resolve } from 'node:path';
import type { OperatorKind } from '../../operators/kind.ts';
import { loadKinds } from '../own-operators/load-kinds.ts';
import { packModule } from '../own-operators/pack-module.ts';
import type { OperatorModule } from '../own-operators/pack-module.ts';
import type { GraphHead } from './graph.ts';
import type { Problem } from './lint.ts';
import { kinds } from './registry.ts';

export interface LintOptions {
  /** Where the graph's file lies: modules of operators that it names are read from there, and run. */
  readonly directory?: string;
  /** Whether modules are run that stand in the text itself, as in what Millrace has written. */
  readonly runsPacked?: boolean;
}

export interface KnownKinds {
  readonly modules: readonly OperatorModule[];
  /** By name: Millrace's own, then those of the modules. */
  readonly kinds: ReadonlyMap<string, OperatorKind>;
  readonly problems: Problem[];
}

/** The kinds that a graph may name, with those of its modules, which are run for it. */
export function knownKinds({ operators = [] }: GraphHead, options: LintOptions): KnownKinds {
  const known = new Map(kinds.map((kind) => [kind.kind, kind]));
  const modules: OperatorModule[] = [];
  const problems: Problem[] = [];
  for (const [index, given] of operators.entries()) {
    const add = (message: string): void =>
      void problems.push({ code: 'operators-invalid', path: ['operators', index], message });
    const packed = packedOf(given, options);
    const loaded = 'module' in packed ? loadKinds(packed.module) : packed;
    if ('module' in packed) modules.push(packed.module);
    if ('problems' in loaded) loaded.problems.forEach(add);
    else for (const kind of loaded.kinds) addKind(kind, known, add);
  }
  return { modules, kinds: known, problems };
}

function addKind(kind: OperatorKind, known: Map<string, OperatorKind>, add: (message: string) => void): void {
  const taken = known.get(kind.kind);
  if (!taken) known.set(kind.kind, kind);
  else {
    const whose = taken.code === null ? 'is one of Millrace' : 'is defined twice';
    add(`The operator "${kind.kind}" ${whose}. Give yours another name.`);
  }
}

function packedOf(given: string | OperatorModule, options: LintOptions): ReturnType<typeof packModule> {
  if (typeof given !== 'string') {
    if (options.runsPacked) return { module: given };
    return { problems: ['Code does not belong in a graph. Name the file that it stands in.'] };
  }
  if (options.directory === undefined) {
    return { problems: [`${given} is read from beside the graph's file, and this graph comes from none.`] };
  }
  return packModule(resolve(options.directory, given));
}
