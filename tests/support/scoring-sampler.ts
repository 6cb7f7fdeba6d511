import { defer, of, throwError } from 'rxjs';
import { MillraceError } from '../../operators/errors.ts';
import type { SampleDelta, SampleRequest, Sampler, WeightsFile } from '../../operators/ports.ts';

/** How likely a token is behind others, as a natural logarithm. */
export type Likelihood = (token: number, before: readonly number[], weights: WeightsFile) => number;

/**
 * A sampler whose log-probabilities are given, and whose answers are the last token of the prompt, once. Weights at a path that
 * ends in `bad` can't be loaded; at one that ends in `dead`, the process dies.
 */
export class ScoringSampler implements Sampler {
  readonly loaded: WeightsFile[] = [];
  readonly scored: SampleRequest[] = [];
  isClosed = false;
  readonly #likelihood: Likelihood;

  constructor(likelihood: Likelihood) {
    this.#likelihood = likelihood;
  }

  async load(weights: WeightsFile): Promise<void> {
    if (weights.path.endsWith('bad'))
      throw new MillraceError('weights-corrupt', `${weights.path} holds values that are not finite.`);
    if (weights.path.endsWith('dead'))
      throw new MillraceError('process-died', 'The sampler process was ended by SIGKILL.');
    this.loaded.push(weights);
  }

  sample(request: SampleRequest): ReturnType<Sampler['sample']> {
    return defer(() => {
      const weights = this.loaded.at(-1);
      if (!weights) return throwError(() => new Error('There are no weights.'));
      const tokens = Array.from(request.prompt);
      const delta: SampleDelta = { tokens: request.prompt.slice(-1), weights, finish: 'length' };
      if (request.topPromptLogProbabilities === undefined) return of(delta);
      this.scored.push(request);
      const promptLogProbabilities = tokens.slice(1).map((token, at) => {
        return { token, logProbability: this.#likelihood(token, tokens.slice(0, at + 1), weights), top: [] };
      });
      return of({ ...delta, promptLogProbabilities });
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
