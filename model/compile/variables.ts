import type { Tensor } from '@tensorflow/tfjs-node';
import { ModelError } from '../errors.ts';
import { ref, type GraphNode, type Ref } from './ir.ts';
import type { Session } from './session.ts';
import { afterNode, assignNode, describe, placeholder, slug, TRUE_TYPE, trueNode, variableNodes } from './nodes.ts';
import type { Specs, Tensors } from './trace.ts';

interface Access {
  readonly read: Ref;
  readonly value: Ref;
  readonly written: Ref;
}

/** The nodes through which a program's variables are read and written from outside. */
export class VariableAccess {
  readonly nodes: readonly GraphNode[];
  readonly #specs: Specs;
  readonly #access = new Map<string, Access>();

  constructor(specs: Specs) {
    this.#specs = specs;
    const nodes: GraphNode[] = [SIGNAL];
    for (const [at, [name, spec]] of Object.entries(specs).entries()) {
      const prefix = `variables/${at}_${slug(name)}`;
      const variable = variableNodes(prefix, name, spec);
      const value = placeholder(`${prefix}/value`, spec);
      const assign: GraphNode = { ...assignNode(`${prefix}/assign`, variable, ref(value)), after: [] };
      const written = afterNode(`${prefix}/written`, ref(SIGNAL), TRUE_TYPE, [assign.name]);
      nodes.push(variable.handle, variable.read, value, assign, written);
      this.#access.set(name, { read: ref(variable.read), value: ref(value), written: ref(written) });
    }
    this.nodes = nodes;
  }

  read<K extends string>(session: Session, names: readonly K[]): Record<K, Tensor> {
    if (names.length === 0) return Object.assign({});
    const tensors = session.run(
      [],
      names.map((name) => this.#of(name).read),
    );
    return Object.assign({}, ...names.map((name, at) => ({ [name]: tensors[at] })));
  }

  write(session: Session, values: Partial<Tensors>): void {
    const entries = Object.entries(values).flatMap(([name, tensor]) => (tensor ? [[name, tensor] as const] : []));
    if (entries.length === 0) return;
    const feeds = entries.map(([name, tensor]) => [this.#checked(name, tensor).value, tensor] as const);
    const signals = session.run(
      feeds,
      entries.map(([name]) => this.#of(name).written),
    );
    for (const signal of signals) signal.dispose();
  }

  #checked(name: string, tensor: Tensor): Access {
    const access = this.#of(name);
    const spec = this.#specs[name];
    if (spec !== undefined && describe(spec) !== describe(tensor)) {
      throw new ModelError(
        'shape-mismatch',
        `The variable ${name} is ${describe(spec)}, the value given is ${describe(tensor)}.`,
      );
    }
    return access;
  }

  #of(name: string): Access {
    const access = this.#access.get(name);
    if (access === undefined) throw new ModelError('shape-mismatch', `The program has no variable ${name}.`);
    return access;
  }
}

const SIGNAL: GraphNode = trueNode('variables/signal');
