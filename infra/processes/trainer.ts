import { randomUUID } from 'node:crypto';
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainerSettings } from '../../model/settings.ts';
import type { OldTokens } from '../../model/tokenizer/respelling.ts';
import type { GuardSettings } from '../../model/spike-guard.ts';
import type { StepInput, StepResult } from '../../model/types.ts';
import type { Logger, Trainer } from '../../operators/ports.ts';
import type { Snapshot } from '../../operators/types.ts';
import { engineEnvironment } from './engine-environment.ts';
import { Host } from './host.ts';
import type { TrainerMethods } from './trainer-protocol.ts';

export interface TrainerProcessOptions {
  readonly settings: TrainerSettings;
  /**
   * Snapshots are written here until the checkpoint takes them. Best on the checkpoints' file system, where they need
   * not be copied. Belongs to this trainer: what an earlier one left is removed.
   */
  readonly stagingDir: string;
  readonly logger: Logger;
  /** Goes before what the engine of the settings asks for, see `engineEnvironment`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A trainer in a process of its own. */
export interface TrainerProcess extends Trainer {
  readonly pid: number | undefined;
  /** Sets the peak of the learning rate for the steps to come. */
  tune(learningRate: number): Promise<void>;
}

/**
 * Starts a trainer process; resolves when it is ready to restore.
 *
 * Rejects with `engine-missing` or `config-invalid`, or `process-died`.
 */
export async function startTrainer(options: TrainerProcessOptions): Promise<TrainerProcess> {
  const { settings, stagingDir, logger, env = {} } = options;
  await rm(stagingDir, { recursive: true, force: true });
  await mkdir(stagingDir, { recursive: true });
  const host = new Host<TrainerMethods, never>({
    name: 'trainer',
    module: 'trainer-main',
    env: { ...engineEnvironment(settings.engine), ...env },
    logger,
    onEvent: () => undefined,
  });
  try {
    await host.call('start', settings);
  } catch (error) {
    await host.close();
    throw error;
  }
  return new ChildTrainer(host, stagingDir);
}

class ChildTrainer implements TrainerProcess {
  readonly #host: Host<TrainerMethods, never>;
  readonly #stagingDir: string;
  readonly #staged = new Set<string>();

  constructor(host: Host<TrainerMethods, never>, stagingDir: string) {
    this.#host = host;
    this.#stagingDir = stagingDir;
  }

  get pid(): number | undefined {
    return this.#host.pid;
  }

  restore(snapshot: Snapshot | null, vocabulary?: readonly OldTokens[]): Promise<void> {
    if (!snapshot) return this.#host.call('restore', null);
    const files = Object.fromEntries((snapshot.files ?? []).map(({ name, path }) => [name, path]));
    return this.#host.call('restore', { state: snapshot.state, files, ...(vocabulary ? { vocabulary } : {}) });
  }

  tune(learningRate: number): Promise<void> {
    return this.#host.call('tune', learningRate);
  }

  step(batch: StepInput, guard?: GuardSettings): Promise<StepResult> {
    return this.#host.call('step', { batch: toSend(batch), ...(guard ? { guard } : {}) });
  }

  evaluate(batch: StepInput): Promise<number> {
    return this.#host.call('evaluate', toSend(batch));
  }

  async snapshot(): Promise<Snapshot> {
    const directory = join(this.#stagingDir, randomUUID());
    try {
      // Called before anything is waited for, so that it keeps its place among the steps.
      const snapshot = await this.#host.call('snapshot', directory);
      await this.#forgetTaken();
      this.#staged.add(directory);
      return snapshot;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Removes the directories whose files are all in a checkpoint by now. */
  async #forgetTaken(): Promise<void> {
    for (const directory of this.#staged) {
      await rmdir(directory).then(
        () => this.#staged.delete(directory),
        () => undefined,
      );
    }
  }

  close(): Promise<void> {
    return this.#host.close();
  }
}

/** Only these travel: a batch knows more, and all of it would be copied. */
function toSend({ rows, context, ids, targets, lossMask, segments }: StepInput): StepInput {
  return { rows, context, ids, targets, lossMask, ...(segments ? { segments } : {}) };
}
