import type { EngineSettings } from '../../model/settings.ts';
import type { SamplerDelta, SamplerRequest } from '../../model/sampler.ts';
import type { WeightsFile, WeightsVersion } from '../../operators/ports.ts';

export interface SamplerSettings {
  /** Op by op when absent. */
  readonly engine: EngineSettings | undefined;
  /** Of the time in which there is something to answer, so much is for the model: above 0, up to 1. */
  readonly share: number;
}

export interface AnswerRequest {
  readonly id: string;
  readonly request: SamplerRequest;
}

/** What the sampler process is asked for. `start` comes first, once. */
export type SamplerMethods = {
  readonly start: (settings: SamplerSettings) => Promise<void>;
  /** Done when the weights speak, or newer ones do. */
  readonly load: (weights: WeightsFile) => Promise<void>;
  /** Done when the answer is, or cancelled; its tokens come as events before that. */
  readonly answer: (request: AnswerRequest) => Promise<void>;
  readonly cancel: (id: string) => void;
};

/** Of the answers under way, what one step of the model brought with these weights. */
export interface SamplerEvent {
  readonly weights: WeightsVersion;
  readonly deltas: readonly SamplerDelta[];
}
