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
import type { DecoderOptions, StartedRow } from './decoder.ts';
import type { DecodedPrompt } from './prompt-reader.ts';
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
  /**
   * What becomes of an answer that has begun when new weights come: `switch` goes on with them, `finish` ends on those that
   * it began with. `switch` when absent.
   */
  readonly onNewWeights?: 'switch' | 'finish' | undefined;
}

/** How much of a prompt was read: all of it, but for what the context has no room for. */
export interface ReadCounts {
  readonly tokens: number;
  /** Of these, how many had been read before, as the beginning of this or another prompt. */
  readonly reused: number;
}

export interface SamplerDelta {
  readonly id: string;
  /** Which weights spoke: the number that `load` gave them. */
  readonly version: number;
  /** None when a stop token came. */
  readonly tokens: Int32Array;
  /** Of each token, and of the stop token behind them, when the request asks for them. */
  readonly logProbabilities?: readonly ChosenProbability[];
  /** Of each token of the prompt but the first, on the first delta, when the request asks for them. */
  readonly promptLogProbabilities?: readonly ChosenProbability[];
  /** On the first delta. */
  readonly read?: ReadCounts;
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
   * Takes the weights of a file, and numbers them. Requests under way that `switch` go on with the new weights from their
   * next token on: what they have so far is read again. For those that `finish` the old weights are kept too, until the
   * last of them ends. The model may be of another size. Throws `weights-corrupt` or `weights-mismatch`, and speaks on with
   * the old weights, when the file is damaged, not finite, or of another vocabulary than the first one; and `state-invalid`
   * where it may not load.
   */
  load(path: string): { readonly config: ModelConfig; readonly version: number };
  /** False while two sets of weights are held: a third would break a promise, or have no bound. */
  readonly mayLoad: boolean;
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
export function createSampler(
  engineOf: DecodeEngineFactory = eagerDecoding,
  options: DecoderOptions = {},
): ModelSampler {
  return new Sampler(engineOf, options);
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

/** Weights, and who speaks with them: one for each row of the decoder. */
interface Voice {
  readonly version: number;
  readonly decoder: Decoder;
  readonly speaking: readonly Speaker[];
}

class Sampler implements ModelSampler {
  readonly #engineOf: DecodeEngineFactory;
  readonly #options: DecoderOptions;
  #config: ModelConfig | null = null;
  #loads = 0;
  /** With the newest weights. */
  #current: Voice | null = null;
  /** With the weights before, as long as there are answers that end on them. */
  #ending: Voice | null = null;
  /** Not in a decoder yet. */
  #waiting: Speaker[] = [];

  constructor(engineOf: DecodeEngineFactory, options: DecoderOptions) {
    this.#engineOf = engineOf;
    this.#options = options;
  }

  get busy(): boolean {
    return this.#speakers.length > 0;
  }

  get mayLoad(): boolean {
    return this.#ending === null;
  }

  load(path: string): { readonly config: ModelConfig; readonly version: number } {
    if (!this.mayLoad) {
      throw new ModelError(
        'state-invalid',
        'Answers still end on the weights before these: load when `mayLoad` says so.',
      );
    }
    const { config, weights } = readWeights(path);
    if (this.#config) requireSameVocabulary(path, config, this.#config);
    const before = this.#current;
    const stay = before?.speaking.filter(finishes) ?? [];
    const decoder = this.#decoderFor(config, before, stay.length > 0);
    decoder.load(weights);
    this.#config = config;
    this.#loads += 1;
    this.#waiting = [...(before?.speaking ?? []).filter((speaker) => !finishes(speaker)), ...this.#waiting];
    this.#ending = before && stay.length > 0 ? keepOf(before, finishes) : null;
    this.#ending?.decoder.forgetPrompts();
    this.#current = { version: this.#loads, decoder, speaking: [] };
    return { config, version: this.#loads };
  }

  submit(id: string, request: SamplerRequest): void {
    const { config } = this.#loaded();
    checkRequest(request, config);
    if (this.#speakers.some((speaker) => speaker.id === id)) {
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
    const { voice } = this.#loaded();
    const deltas = [...(this.#ending ? goOn(this.#ending) : []), ...goOn(voice)];
    const starting = this.#waiting;
    voice.decoder.start(starting.map(promptOf)).forEach((row, at) => {
      const speaker = starting[at];
      if (speaker) deltas.push({ ...firstOf(speaker, row), ...speak(speaker, row.logits, voice.version) });
    });
    this.#current = { ...voice, speaking: [...voice.speaking, ...starting] };
    this.#waiting = [];
    const finished = new Set(deltas.filter((delta) => delta.finish).map((delta) => delta.id));
    this.#keep((speaker) => !finished.has(speaker.id));
    return deltas;
  }

  dispose(): void {
    this.#ending?.decoder.dispose();
    this.#current?.decoder.dispose();
    this.#ending = null;
    this.#current = null;
    this.#config = null;
    this.#waiting = [];
  }

  get #speakers(): readonly Speaker[] {
    return [...this.#waiting, ...(this.#ending?.speaking ?? []), ...(this.#current?.speaking ?? [])];
  }

  /** The one that there is, unless somebody still speaks with its weights, or the model is of another size. */
  #decoderFor(config: ModelConfig, before: Voice | null, isKept: boolean): Decoder {
    if (before && isDeepStrictEqual(config, this.#config)) return isKept ? before.decoder.sibling() : before.decoder;
    if (!isKept) before?.decoder.dispose();
    return new Decoder(config, this.#engineOf(config), this.#options);
  }

  #keep(stays: (speaker: Speaker) => boolean): void {
    this.#current &&= keepOf(this.#current, stays);
    this.#ending &&= keepOf(this.#ending, stays);
    this.#letGo();
  }

  /** The old weights go with the last answer that ends on them. */
  #letGo(): void {
    if (!this.#ending || this.#ending.speaking.length > 0) return;
    this.#ending.decoder.dispose();
    this.#ending = null;
  }

  #loaded(): { readonly config: ModelConfig; readonly voice: Voice } {
    if (this.#config && this.#current) return { config: this.#config, voice: this.#current };
    throw new ModelError('state-invalid', 'The sampler has no weights yet: call `load` first.');
  }
}

function finishes({ request }: Speaker): boolean {
  return request.onNewWeights === 'finish';
}

/** The voice with only some of its speakers. */
function keepOf(voice: Voice, stays: (speaker: Speaker) => boolean): Voice {
  voice.decoder.keep(voice.speaking.flatMap((speaker, row) => (stays(speaker) ? [row] : [])));
  return { ...voice, speaking: voice.speaking.filter(stays) };
}

/** One more token of everyone who speaks. */
function goOn({ version, decoder, speaking }: Voice): SamplerDelta[] {
  if (speaking.length === 0) return [];
  const last = Int32Array.from(speaking, (speaker) => speaker.tokens.at(-1) ?? 0);
  return decoder.advance(last).flatMap((logits, row) => {
    const speaker = speaking[row];
    return speaker ? [speak(speaker, logits, version)] : [];
  });
}

/** All tokens that a row begins with: after new weights came, what has been said is among them. */
function promptOf({ tokens, promptLength, request }: Speaker): DecodedPrompt {
  const isScored = request.topPromptLogProbabilities !== undefined && tokens.length === promptLength;
  return { tokens: Int32Array.from(tokens), isScored };
}

/** What only a request's first delta says. */
function firstOf(
  speaker: Speaker,
  { within, reused }: StartedRow,
): Pick<SamplerDelta, 'promptLogProbabilities' | 'read'> {
  const { tokens, promptLength, request } = speaker;
  if (tokens.length > promptLength) return {};
  const read = { tokens: promptLength, reused };
  const top = request.topPromptLogProbabilities;
  if (top === undefined || within.length === 0) return { read };
  const score = (logits: Float32Array, at: number): ChosenProbability =>
    logProbabilities(logits, tokens[at + 1] ?? 0, top);
  return { read, promptLogProbabilities: within.map(score) };
}

/** Draws the next token and adds it to what has been said. */
function speak(speaker: Speaker, logits: Float32Array, version: number): SamplerDelta {
  const { id, request, random, tokens, length } = speaker;
  const token = chooseToken(adjustLogits(logits, request, speaker), request, random.uniform());
  const top = request.topLogProbabilities;
  const probabilities = top === undefined ? {} : { logProbabilities: [logProbabilities(logits, token, top)] };
  if (request.stopTokens.includes(token))
    return { id, version, tokens: new Int32Array(), ...probabilities, finish: 'stop' };
  tokens.push(token);
  return {
    id,
    version,
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
