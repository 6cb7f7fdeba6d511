import type { Tensor } from '@tensorflow/tfjs-node';
import { compileProgram } from './compile/index.ts';
import type { FunctionSpec, OptimizeOptions, Program, TensorSpec, Tensors, Traced } from './compile/index.ts';
import { parameterShapes } from './config.ts';
import type { Parameters } from './parameters.ts';
import type { ModelState, StepFigures, StepRunner, StepRunnerFactory, StepScalars, Values } from './step-runner.ts';
import { tf } from './tf.ts';
import { toBatchTensors, toParameters } from './to-tensors.ts';
import { trainStep } from './train-step.ts';
import type { TrainStepConfig } from './train-step.ts';
import type { StepInput } from './types.ts';

/**
 * Runs the step as one call into TensorFlow; see `compile`. State and files are those of the eager runner, so that a job
 * may change between the two. The first batch of each shape compiles a graph.
 */
export function compiledRunner(options: OptimizeOptions = {}): StepRunnerFactory {
  return (config) => new CompiledRunner(config, options);
}

const PARTS = ['weights', 'mean', 'meanSquare'] as const;
type Part = (typeof PARTS)[number];

type StepInputName = 'ids' | 'targets' | 'lossMask' | 'lr' | 'biasCorrection1' | 'biasCorrection2';
type Figure = 'loss' | 'gradNorm' | 'finite';
type Step<I extends string> = FunctionSpec<I, Figure>;

interface Steps extends Readonly<Record<string, FunctionSpec<string, string>>> {
  readonly plain: Step<StepInputName>;
  readonly segmented: Step<StepInputName | 'segments'>;
}

class CompiledRunner implements StepRunner {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #program: Program<Steps>;

  constructor(config: TrainStepConfig, options: OptimizeOptions) {
    this.#shapes = parameterShapes(config.model);
    this.#program = compileProgram({
      name: 'The training step',
      variables: variableSpecs(this.#shapes),
      functions: stepFunctions(config),
      ...options,
    });
  }

  load(state: ModelState): void {
    for (const part of PARTS) {
      const tensors = toParameters(state[part], this.#shapes);
      this.#program.write(Object.fromEntries(Object.entries(tensors).map(([name, t]) => [variable(part, name), t])));
      tf.dispose(tensors);
    }
  }

  run(batch: StepInput, { lr, biasCorrection1, biasCorrection2 }: StepScalars): StepFigures {
    return tf.tidy(() => {
      const { segments, ...tensors } = toBatchTensors(batch);
      const inputs = {
        ...tensors,
        lr: tf.scalar(lr),
        biasCorrection1: tf.scalar(biasCorrection1),
        biasCorrection2: tf.scalar(biasCorrection2),
      };
      const { loss, gradNorm, finite } = segments
        ? this.#program.run('segmented', { ...inputs, segments })
        : this.#program.run('plain', inputs);
      return { loss: value(loss), gradNorm: value(gradNorm), finite: value(finite) === 1 };
    });
  }

  read(): ModelState {
    return {
      weights: this.#download('weights'),
      mean: this.#download('mean'),
      meanSquare: this.#download('meanSquare'),
    };
  }

  dispose(): void {
    this.#program.dispose();
  }

  #download(part: Part): Values {
    const names = [...this.#shapes.keys()];
    const tensors = this.#program.read(names.map((name) => variable(part, name)));
    const values = Object.values(tensors).map((tensor) => tensor.dataSync<'float32'>().slice());
    tf.dispose(tensors);
    return new Map(names.map((name, at) => [name, values[at] ?? new Float32Array()]));
  }
}

function stepFunctions(config: TrainStepConfig): Steps {
  const int = { dtype: 'int32' } as const;
  const float = { dtype: 'float32' } as const;
  const scalar = { shape: [], dtype: 'float32' } as const;
  const inputs = {
    ids: int,
    targets: int,
    lossMask: float,
    lr: scalar,
    biasCorrection1: scalar,
    biasCorrection2: scalar,
  };
  const step = (batch: Tensors<StepInputName> & { readonly segments?: Tensor }, variables: Tensors): Traced<Figure> => {
    const state = (part: Part): Parameters => partOf(variables, part);
    const moments = { mean: state('mean'), meanSquare: state('meanSquare') };
    const { loss, gradNorm, finite, ...next } = trainStep(config, state('weights'), moments, {
      ...batch,
      lr: batch.lr.asScalar(),
      biasCorrection1: batch.biasCorrection1.asScalar(),
      biasCorrection2: batch.biasCorrection2.asScalar(),
    });
    const assign = {
      ...named('weights', next.parameters),
      ...named('mean', next.moments.mean),
      ...named('meanSquare', next.moments.meanSquare),
    };
    return { outputs: { loss, gradNorm, finite }, assign };
  };
  return {
    plain: { inputs, fn: step },
    segmented: { inputs: { ...inputs, segments: int }, fn: step },
  };
}

function variable(part: Part, name: string): string {
  return `${part}/${name}`;
}

function variableSpecs(shapes: ReadonlyMap<string, readonly number[]>): Record<string, TensorSpec> {
  const specs = PARTS.flatMap((part) =>
    [...shapes].map(([name, shape]): [string, TensorSpec] => [variable(part, name), { shape, dtype: 'float32' }]),
  );
  return Object.fromEntries(specs);
}

function partOf(variables: Tensors, part: Part): Parameters {
  const prefix = variable(part, '');
  const own = Object.entries(variables).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function named(part: Part, parameters: Parameters): Tensors {
  return Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [variable(part, name), tensor]));
}

function value(scalar: Tensor): number {
  return scalar.dataSync()[0] ?? Number.NaN;
}
