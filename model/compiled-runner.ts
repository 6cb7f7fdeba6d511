import type { Tensor } from '@tensorflow/tfjs-node';
import { compileProgram } from './compile/index.ts';
import type { FunctionSpec, OptimizeOptions, Program, TensorSpec, Tensors, Traced } from './compile/index.ts';
import { parameterShapes } from './config.ts';
import { moveEma } from './ema.ts';
import { ModelError } from './errors.ts';
import { countTargets, lossOf } from './loss.ts';
import type { Parameters } from './parameters.ts';
import { StateCapture } from './state-capture.ts';
import { stateShapesOf } from './step-runner.ts';
import type {
  ModelState,
  RunnerConfig,
  Shapes,
  StatePart,
  StepFigures,
  StepRunner,
  StepRunnerFactory,
  StepScalars,
} from './step-runner.ts';
import { tf } from './tf.ts';
import { toBatchTensors, toParameters } from './to-tensors.ts';
import { trainStep } from './train-step.ts';
import type { StepInput } from './types.ts';

/**
 * Runs the step as one call into TensorFlow; see `compile`. State and files are those of the eager runner, so that a job
 * may change between the two. The first batch of each shape compiles a graph.
 */
export function compiledRunner(options: OptimizeOptions = {}): StepRunnerFactory {
  return (config) => new CompiledRunner(config, options);
}

type BatchInputName = 'ids' | 'targets' | 'lossMask';
type ScalarInputName = 'lr' | 'biasCorrection1' | 'biasCorrection2' | 'maxLoss' | 'maxGradNorm' | 'emaDecay';
type StepInputName = BatchInputName | ScalarInputName;
type Figure = 'loss' | 'losses' | 'gradNorm' | 'taken';

/** With and without documents whose borders attention stops at. */
interface Functions<I extends string, O extends string> extends Readonly<Record<string, FunctionSpec<string, string>>> {
  readonly plain: FunctionSpec<I, O>;
  readonly segmented: FunctionSpec<I | 'segments', O>;
}

class CompiledRunner implements StepRunner {
  readonly #config: RunnerConfig;
  readonly #options: OptimizeOptions;
  readonly #held: ReadonlyMap<StatePart, Shapes>;
  readonly #program: Program<Functions<StepInputName, Figure>>;
  #evaluation: Program<Functions<string, 'loss'>> | undefined;

  constructor(config: RunnerConfig, options: OptimizeOptions) {
    this.#config = config;
    this.#options = options;
    this.#held = stateShapesOf(config);
    this.#program = compileProgram({
      name: 'The training step',
      variables: variableSpecs(this.#held),
      functions: stepFunctions(config),
      ...options,
    });
  }

  load(state: ModelState): void {
    for (const [part, shapes] of this.#held) {
      const tensors = toParameters(state[part] ?? state.weights, shapes);
      this.#program.write(named(part, tensors));
      tf.dispose(tensors);
    }
  }

  run(batch: StepInput, { emaDecay = 1, ...scalars }: StepScalars): StepFigures {
    return tf.tidy(() => {
      const { segments, ...tensors } = toBatchTensors(batch);
      const inputs = {
        ...tensors,
        lr: tf.scalar(scalars.lr),
        biasCorrection1: tf.scalar(scalars.biasCorrection1),
        biasCorrection2: tf.scalar(scalars.biasCorrection2),
        maxLoss: tf.scalar(scalars.maxLoss),
        maxGradNorm: tf.scalar(scalars.maxGradNorm),
        emaDecay: tf.scalar(emaDecay),
      };
      const { loss, losses, gradNorm, taken } = segments
        ? this.#program.run('segmented', { ...inputs, segments })
        : this.#program.run('plain', inputs);
      return {
        loss: value(loss),
        losses: losses.dataSync<'float32'>(),
        gradNorm: value(gradNorm),
        taken: value(taken) === 1,
      };
    });
  }

  /**
   * In a session of its own, which is given the step's weights: one more function in the step's session would have that
   * compiled anew.
   */
  evaluate(batch: StepInput): number {
    this.#evaluation ??= compileProgram({
      name: 'The evaluation',
      variables: {},
      functions: evaluationFunctions(this.#config),
      ...this.#options,
    });
    const evaluation = this.#evaluation;
    return tf.tidy(() => {
      const { segments, ...tensors } = toBatchTensors(batch);
      const inputs = { ...tensors, ...this.#program.read(this.#variables('weights')) };
      const { loss } = segments
        ? evaluation.run('segmented', { ...inputs, segments })
        : evaluation.run('plain', inputs);
      return value(loss);
    });
  }

  capture(): StateCapture {
    const parts = [...this.#held.keys()].map(
      (part) => [part, partOf(this.#program.read(this.#variables(part)), part)] as const,
    );
    return new StateCapture(Object.fromEntries(parts));
  }

  dispose(): void {
    this.#program.dispose();
    this.#evaluation?.dispose();
  }

  #variables(part: StatePart): readonly string[] {
    return [...(this.#held.get(part)?.keys() ?? [])].map((name) => variable(part, name));
  }
}

const int = { dtype: 'int32' } as const;
const float = { dtype: 'float32' } as const;
const scalar = { shape: [], dtype: 'float32' } as const;
const batchInputs = { ids: int, targets: int, lossMask: float };

type Batch = Tensors<BatchInputName> & { readonly segments?: Tensor };

function stepFunctions(config: RunnerConfig): Functions<StepInputName, Figure> {
  const inputs = {
    ...batchInputs,
    lr: scalar,
    biasCorrection1: scalar,
    biasCorrection2: scalar,
    maxLoss: scalar,
    maxGradNorm: scalar,
    emaDecay: scalar,
  };
  const step = (batch: Batch & Tensors<ScalarInputName>, variables: Tensors): Traced<Figure> => {
    const state = (part: StatePart): Parameters => partOf(variables, part);
    const moments = { mean: state('mean'), meanSquare: state('meanSquare') };
    const { loss, losses, gradNorm, taken, ...next } = trainStep(config, state('weights'), moments, {
      ...batch,
      lr: batch.lr.asScalar(),
      biasCorrection1: batch.biasCorrection1.asScalar(),
      biasCorrection2: batch.biasCorrection2.asScalar(),
      maxLoss: batch.maxLoss.asScalar(),
      maxGradNorm: batch.maxGradNorm.asScalar(),
    });
    const assign = {
      ...named('weights', next.parameters),
      ...named('mean', next.moments.mean),
      ...named('meanSquare', next.moments.meanSquare),
      ...named('ema', moveEma(state('ema'), next.parameters, batch.emaDecay.asScalar(), taken)),
    };
    return { outputs: { loss, losses, gradNorm, taken }, assign };
  };
  return {
    plain: { inputs, fn: step },
    segmented: { inputs: { ...inputs, segments: int }, fn: step },
  };
}

function evaluationFunctions({ model }: RunnerConfig): Functions<string, 'loss'> {
  const inputs = { ...batchInputs, ...variableSpecs(new Map([['weights', parameterShapes(model)]])) };
  const evaluate = ({ ids, targets, lossMask, segments, ...weights }: Tensors): Traced<'loss'> => {
    if (!ids || !targets || !lossMask)
      throw new ModelError('input-invalid', 'A batch has ids, targets and a loss mask.');
    const batch = { ids, targets, lossMask, ...(segments && { segments }) };
    return { outputs: { loss: lossOf(partOf(weights, 'weights'), model, batch, countTargets(lossMask)) } };
  };
  return {
    plain: { inputs, fn: evaluate },
    segmented: { inputs: { ...inputs, segments: int }, fn: evaluate },
  };
}

function variable(part: StatePart, name: string): string {
  return `${part}/${name}`;
}

function variableSpecs(held: ReadonlyMap<StatePart, Shapes>): Record<string, TensorSpec> {
  const specs = [...held].flatMap(([part, shapes]) =>
    [...shapes].map(([name, shape]): [string, TensorSpec] => [variable(part, name), { shape, dtype: 'float32' }]),
  );
  return Object.fromEntries(specs);
}

function partOf(variables: Tensors, part: StatePart): Parameters {
  const prefix = variable(part, '');
  const own = Object.entries(variables).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function named(part: StatePart, parameters: Parameters): Tensors {
  return Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [variable(part, name), tensor]));
}

function value(scalar: Tensor): number {
  return scalar.dataSync()[0] ?? Number.NaN;
}
