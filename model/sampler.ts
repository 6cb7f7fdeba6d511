import { isDeepStrictEqual } from 'node:util';
import { adjustLogits } from './adjust-logits.ts';
import type { PenaltySettings } from './adjust-logits.ts';
import { checkTokens } from './check-input.ts';
import { chooseToken } from './choose-token.ts';
import type { ChooseSettings } from './choose-token.ts';
import type { ModelConfig } from './config.ts';
import { eagerDecoding } from './decode-engine.ts';
import type { DecodeEngineFactory } from './decode-engine.ts';
import { Decoder } from './decoder.ts';
import type { DecodedPrompt } from './decoder.ts';
import { ModelError } from './errors.ts';
import { logProbabilities } from './log-probabilities.ts';
import type { ChosenProbability } from './log-probabilities.ts';
import { Random } from './random.ts';
import { readWeights, requireSameVocabulary } from './weights/weights-file.ts';

export interface SamplerRequest extends ChooseSettings, PenaltySettings {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  readonly seed: number;
  /** Tokens that end the answer; they are not part of it. */
  readonly stopTokens: readonly number[];
  /** Also how likely each token was, and so many of the likeliest; by the model alone, before any setting. */
  readonly topLogProbabilities?: number | undefined;
  /** The same for the tokens of the prompt, as text that is only scored. */
  readonly topPromptLogProbabilities?: number | undefined;
}

export interface SamplerDelta {
  readonly id: string;
  /** None when a stop token came. */
  readonly tokens: Int32Array;
  /** Of each token, and of the stop token behind them, when the request asks for them. */
  readonly logProbabilities?: readonly ChosenProbability[];
  /** Of each token of the prompt but the first, on the first delta, when the request asks for them. */
  readonly promptLogProbabilities?: readonly ChosenProbability[];
  /** Set on a request's last delta: a stop token; or `maxTokens`, or the context is full. */
  readonly finish: 'stop' | 'length' | null;
}

/**
 * Continues many prompts at once, one token each per step; requests come and go between steps (continuous batching).
 * Knows tokens only, no text. The same weights, prompt and seed give the same tokens, whatever else runs beside them,
 * except where two tokens are equal to within rounding.
 */
export interface ModelSampler {
  /**
   * Takes the weights of a file. Requests under way go on with the new weights from their next token on: what they have
   * so far is read again. Throws `weights-corrupt` or `weights-mismatch`, and speaks on with the old weights, when the
   * file is damaged, not finite, or of another vocabulary than the first one. The model may be of another size.
   */
  load(path: string): { readonly config: ModelConfig };
  /**
   * Throws `input-invalid` for a request that cannot be answered, `state-invalid` before the first weights. A prompt
   * that leaves too little room loses its oldest tokens: for `maxTokens`, but never more than half of the context.
   */
  submit(id: string, request: SamplerRequest): void;
  /** Forgets a request; does nothing when there is none of that id. */
  cancel(id: string): void;
  readonly busy: boolean;
  /** One delta for each request. */
  step(): readonly SamplerDelta[];
  dispose(): void;
}

/** A sampler without weights. The engine decides how the forward pass runs: see `compiledDecoding`. */
export function createSampler(engineOf: DecodeEngineFactory = eagerDecoding): ModelSampler {
  return new Sampler(engineOf);
}

interface Speaker {
  readonly id: string;
  readonly request: SamplerRequest;
  readonly random: Random;
  /** Prompt and answer so far. */
  readonly tokens: number[];
  readonly promptLength: number;
  /** `tokens` grows to this. */
  readonly length: number;
}

class Sampler implements ModelSampler {
  readonly #engineOf: DecodeEngineFactory;
  #model: { readonly config: ModelConfig; readonly decoder: Decoder } | null = null;
  /** Not in the decoder yet. */
  #waiting: Speaker[] = [];
  /** One for each row of the decoder. */
  #speaking: Speaker[] = [];

  constructor(engineOf: DecodeEngineFactory) {
    this.#engineOf = engineOf;
  }

  get busy(): boolean {
    return this.#waiting.length + this.#speaking.length > 0;
  }

  load(path: string): { readonly config: ModelConfig } {
    const { config, weights } = readWeights(path);
    if (this.#model && !isDeepStrictEqual(config, this.#model.config)) {
      requireSameVocabulary(path, config, this.#model.config);
      this.#model.decoder.dispose();
      this.#model = null;
    }
    this.#model ??= { config, decoder: new Decoder(config, this.#engineOf(config)) };
    this.#model.decoder.load(weights);
    this.#waiting = [...this.#speaking, ...this.#waiting];
    this.#speaking = [];
    return { config };
  }

  submit(id: string, request: SamplerRequest): void {
    const { config } = this.#loaded();
    checkRequest(request, config);
    if ([...this.#waiting, ...this.#speaking].some((speaker) => speaker.id === id)) {
      throw new ModelError('input-invalid', `There is a request "${id}" already: give each its own id.`);
    }
    const reserved = Math.min(request.maxTokens, Math.floor(config.maxContext / 2));
    const tokens = Array.from(request.prompt.subarray(-(config.maxContext - reserved)));
    const length = Math.min(config.maxContext, tokens.length + request.maxTokens);
    const random = new Random(request.seed);
    this.#waiting.push({ id, request, random, tokens, promptLength: tokens.length, length });
  }

  cancel(id: string): void {
    this.#waiting = this.#waiting.filter((speaker) => speaker.id !== id);
    this.#keep((speaker) => speaker.id !== id);
  }

  step(): readonly SamplerDelta[] {
    if (!this.busy) return [];
    const { decoder } = this.#loaded();
    const deltas: SamplerDelta[] = [];
    if (this.#speaking.length > 0) {
      const last = Int32Array.from(this.#speaking, (speaker) => speaker.tokens.at(-1) ?? 0);
      decoder.advance(last).forEach((logits, row) => {
        const speaker = this.#speaking[row];
        if (speaker) deltas.push(speak(speaker, logits));
      });
    }
    const starting = this.#waiting;
    decoder.start(starting.map(promptOf)).forEach(({ logits, within }, at) => {
      const speaker = starting[at];
      if (speaker) deltas.push({ ...scoreOf(speaker, within), ...speak(speaker, logits) });
    });
    this.#speaking.push(...starting);
    this.#waiting = [];
    const finished = new Set(deltas.filter((delta) => delta.finish).map((delta) => delta.id));
    this.#keep((speaker) => !finished.has(speaker.id));
    return deltas;
  }

  dispose(): void {
    this.#model?.decoder.dispose();
    this.#model = null;
    this.#waiting = [];
    this.#speaking = [];
  }

  #keep(stays: (speaker: Speaker) => boolean): void {
    const rows = this.#speaking.flatMap((speaker, row) => (stays(speaker) ? [row] : []));
    this.#model?.decoder.keep(rows);
    this.#speaking = this.#speaking.filter(stays);
  }

  #loaded(): { readonly config: ModelConfig; readonly decoder: Decoder } {
    if (this.#model) return this.#model;
    throw new ModelError('state-invalid', 'The sampler has no weights yet: call `load` first.');
  }
}

/** All tokens that a row begins with: after new weights came, what has been said is among them. */
function promptOf({ tokens, promptLength, request }: Speaker): DecodedPrompt {
  const isScored = request.topPromptLogProbabilities !== undefined && tokens.length === promptLength;
  return { tokens: Int32Array.from(tokens), isScored };
}

function scoreOf(speaker: Speaker, within: readonly Float32Array[]): Pick<SamplerDelta, 'promptLogProbabilities'> {
  const top = speaker.request.topPromptLogProbabilities;
  if (top === undefined || within.length === 0) return {};
  const score = (logits: Float32Array, at: number): ChosenProbability =>
    logProbabilities(logits, speaker.tokens[at + 1] ?? 0, top);
  return { promptLogProbabilities: within.map(score) };
}

/** Draws the next token and adds it to what has been said. */
function speak(speaker: Speaker, logits: Float32Array): SamplerDelta {
  const { id, request, random, tokens, length } = speaker;
  const token = chooseToken(adjustLogits(logits, request, speaker), request, random.uniform());
  const top = request.topLogProbabilities;
  const probabilities = top === undefined ? {} : { logProbabilities: [logProbabilities(logits, token, top)] };
  if (request.stopTokens.includes(token)) return { id, tokens: new Int32Array(), ...probabilities, finish: 'stop' };
  tokens.push(token);
  return {
    id,
    tokens: Int32Array.of(token),
    ...probabilities,
    finish: tokens.length >= length ? 'length' : null,
  };
}

function checkRequest(request: SamplerRequest, config: ModelConfig): void {
  const { prompt, maxTokens, temperature, topK, topP, minP = 0 } = request;
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = request;
  const { topLogProbabilities = 0, topPromptLogProbabilities = 0 } = request;
  const biases = Object.entries(request.logitBias ?? {});
  const wrong =
    (prompt.length === 0 && '`prompt` must have a token; start with the end-of-text token for a free answer') ||
    (!(Number.isInteger(maxTokens) && maxTokens > 0) && '`maxTokens` must be 1 or more') ||
    (!(Number.isFinite(temperature) && temperature >= 0) && '`temperature` must be 0 or more') ||
    (!(Number.isInteger(topK) && topK >= 0) && '`topK` must be 0 (all) or more') ||
    (!(topP > 0 && topP <= 1) && '`topP` must be above 0 and at most 1') ||
    (!(minP >= 0 && minP <= 1) && '`minP` must be from 0 to 1') ||
    (!(repetitionPenalty > 0 && repetitionPenalty < Infinity) && '`repetitionPenalty` must be above 0') ||
    (!Number.isFinite(frequencyPenalty + presencePenalty) && 'the penalties must be numbers') ||
    (!biases.every(([, bias]) => Number.isFinite(bias)) && '`logitBias` must give a number to each token') ||
    (![topLogProbabilities, topPromptLogProbabilities].every((top) => Number.isInteger(top) && top >= 0) &&
      'log-probabilities must be asked for by a count, 0 or more');
  if (wrong) throw new ModelError('input-invalid', `The request cannot be answered: ${wrong}.`);
  checkTokens('prompt', prompt, config);
  checkTokens(
    'logitBias',
    Int32Array.from(biases, ([token]) => Number(token)),
    config,
  );
}
