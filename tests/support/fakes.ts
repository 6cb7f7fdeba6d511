import { setTimeout as sleep } from 'node:timers/promises';
import { concatMap, defer, tap } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type {
  SampleDelta,
  SampleRequest,
  Sampler,
  Trainer,
  WeightsFile,
  WeightsVersion,
} from '../../operators/ports.ts';
import type { StepFault, StepInput } from '../../model/types.ts';
import { Deferred } from './settle.ts';

export interface FakeOptions {
  readonly delayMs?: number;
  /** How to wait; by the clock when absent. */
  readonly wait?: (ms: number) => Promise<void>;
  /** Why a trainer skips a step; none where absent. */
  readonly faultOf?: (batch: StepInput, step: number) => StepFault | null;
}

interface FakeState {
  readonly steps: number;
  readonly hash: number;
}

export interface FakeTrainer extends Trainer {
  /** All inputs so far, in the order in which they were taken. */
  readonly steps: readonly StepInput[];
  readonly closed: boolean;
}

/**
 * A trainer whose whole state is a number that depends on every input so far and on their order; it is the loss of the
 * next step too. Two runs that trained on the same inputs in the same order therefore have the same losses, and no others
 * do. Calls are carried out one after another, as the port has it.
 */
export function fakeTrainer({
  delayMs = 0,
  wait = (ms) => sleep(ms),
  faultOf = () => null,
}: FakeOptions = {}): FakeTrainer {
  const steps: StepInput[] = [];
  let state: FakeState | null = null;
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(work: () => T): Promise<T> => {
    const done = last.then(async () => {
      if (delayMs > 0) await wait(delayMs);
      if (closed) throw new MillraceError('process-died', 'The fake trainer is closed.');
      return work();
    });
    last = done.catch(() => undefined);
    return done;
  };
  const restored = (): FakeState => {
    if (state) return state;
    throw new MillraceError('state-invalid', 'The fake trainer was not restored.');
  };

  return {
    steps,
    get closed() {
      return closed;
    },
    restore: (snapshot) =>
      inTurn(() => {
        state = snapshot ? parseState(snapshot.state) : { steps: 0, hash: 1 };
      }),
    step: (input) =>
      inTurn(() => {
        const before = restored();
        steps.push(input);
        const step = before.steps + 1;
        const fault = faultOf(input, step);
        const skipped = fault !== null;
        state = { steps: step, hash: skipped ? before.hash : hashInput(before.hash, input) };
        const tokens = input.lossMask.reduce((sum, counted) => sum + counted, 0);
        const loss = before.hash / 2 ** 32;
        const losses = input.lossMask.map((counts) => counts * loss);
        return { step, loss, losses, gradNorm: 1, lr: 0.001, tokens, skipped, fault };
      }),
    evaluate: () => inTurn(() => restored().hash / 2 ** 32),
    snapshot: () => inTurn(() => ({ state: { ...restored() } })),
    close: async () => {
      closed = true;
    },
  };
}

function parseState(state: unknown): FakeState {
  if (typeof state === 'object' && state !== null && 'steps' in state && 'hash' in state) {
    const { steps, hash } = state;
    if (typeof steps === 'number' && typeof hash === 'number') return { steps, hash };
  }
  throw new MillraceError('state-invalid', 'This is no state of the fake trainer.');
}

/** FNV-1a over all that a step depends on. */
function hashInput(hash: number, { rows, context, ids, targets, lossMask, segments }: StepInput): number {
  let mixed = hash;
  for (const part of [[rows, context], ids, targets, lossMask, ...(segments ? [segments] : [])]) {
    for (const value of part) mixed = Math.imul(mixed ^ value, 0x01000193) >>> 0;
    mixed = Math.imul(mixed ^ part.length, 0x01000193) >>> 0;
  }
  return mixed;
}

export interface FakeSampler extends Sampler {
  /** Weights that were loaded, in order. */
  readonly loaded: readonly WeightsFile[];
  readonly requests: readonly SampleRequest[];
  /** Requests that were unsubscribed from before their end. */
  readonly cancelled: readonly SampleRequest[];
}

/**
 * A sampler that counts on from the prompt's last token, one token a delta: after `1 2 3` come `4`, `5` and so on, until a
 * stop token or the length. A file named `bad` cannot be loaded.
 */
export function fakeSampler({ delayMs = 0, wait = (ms) => sleep(ms) }: FakeOptions = {}): FakeSampler {
  const loaded: WeightsFile[] = [];
  const requests: SampleRequest[] = [];
  const cancelled: SampleRequest[] = [];
  const first = new Deferred<void>();

  const current = (): WeightsVersion => {
    const { id = '', step = 0 } = loaded.at(-1) ?? {};
    return { id, step };
  };
  return {
    loaded,
    requests,
    cancelled,
    load: async (weights) => {
      if (weights.path.endsWith('bad')) throw new MillraceError('weights-corrupt', `${weights.path} is bad.`);
      loaded.push({ ...weights });
      first.resolve();
    },
    sample: (request) =>
      defer(() => {
        requests.push(request);
        return first.promise;
      }).pipe(
        concatMap(() => answerOf(request)),
        concatMap(async (delta) => {
          if (delayMs > 0) await wait(delayMs);
          return { ...delta, weights: current() };
        }),
        tap({ unsubscribe: () => cancelled.push(request) }),
      ),
    close: async () => undefined,
  };
}

function answerOf({ prompt, maxTokens, stopTokens }: SampleRequest): Omit<SampleDelta, 'weights'>[] {
  const deltas: Omit<SampleDelta, 'weights'>[] = [];
  for (let count = 1; count <= maxTokens; count++) {
    const token = (prompt.at(-1) ?? 0) + count;
    if (stopTokens.includes(token)) return [...deltas, { tokens: new Int32Array(), finish: 'stop' }];
    deltas.push({ tokens: Int32Array.of(token), finish: count === maxTokens ? 'length' : null });
  }
  return deltas;
}
