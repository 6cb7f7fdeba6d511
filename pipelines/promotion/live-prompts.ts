import type { SampleRequest, Sampler } from '../../operators/ports.ts';

/** As many as an exam may ask for. */
const MOST = 32;

/** The prompts that were answered last, for candidates to answer too. */
export class LivePrompts {
  #newest: readonly SampleRequest[] = [];

  /** Notes a prompt; text that is only scored is none. */
  hear(request: SampleRequest): void {
    if (request.topPromptLogProbabilities !== undefined) return;
    this.#newest = [...this.#newest.slice(1 - MOST), request];
  }

  /** The newest ones. */
  last(count: number): readonly SampleRequest[] {
    return count === 0 ? [] : this.#newest.slice(-count);
  }

  /** The same sampler, whose prompts are heard. */
  of(sampler: Sampler): Sampler {
    return {
      load: (weights) => sampler.load(weights),
      sample: (request) => {
        this.hear(request);
        return sampler.sample(request);
      },
      close: () => sampler.close(),
    };
  }
}
