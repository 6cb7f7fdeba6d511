import type { Clock } from '../../operators/ports.ts';
import { printable } from './format.ts';
import type { PublishedDelta } from '../topics/published.ts';
import type { Style } from './style.ts';

/** An answer that has said nothing for so long lets others speak. */
const SILENT_MS = 5000;

interface Answer {
  readonly id: string;
  readonly step: number;
  /** What its header says besides: that it goes on, or begins again. */
  note: string;
  /** What has not been shown yet. */
  text: string;
  isFinished: boolean;
  /** Why, where it was not said to its end. */
  ending: string;
}

/**
 * Shows answers that come mingled, so that each can be read: one streams, the others wait for its end and then follow
 * whole. Methods return what is to be written.
 */
export class AnswerView {
  readonly #style: Style;
  readonly #clock: Clock;
  /** In order of their first deltas, the one that streams included. */
  readonly #answers = new Map<string, Answer>();
  #streaming: Answer | null = null;
  #spokeAtMs = 0;

  constructor(style: Style, clock: Clock) {
    this.#style = style;
    this.#clock = clock;
  }

  push({ id, index, text, finish, weights }: PublishedDelta): string {
    let answer = this.#answers.get(id);
    let broken = '';
    if (!answer || index === 0) {
      // After a restart, an answer that was under way begins again.
      if (answer && answer === this.#streaming) broken = this.#stop();
      const note = index > 0 ? 'goes on' : answer ? 'begins again' : '';
      answer = { id, step: weights.step, note, text: '', isFinished: false, ending: '' };
      this.#answers.set(id, answer);
    }
    answer.text += text;
    answer.isFinished = finish !== null;
    answer.ending = finish === 'deadline' || finish === 'cancelled' ? this.#style.dim(` (${finish})`) : '';
    return broken + this.#flush();
  }

  /** To be called now and then when nothing comes. */
  idle(): string {
    return this.#flush();
  }

  /** Shows what still waits, and ends the line. */
  close(): string {
    for (const answer of this.#answers.values()) answer.isFinished = true;
    return this.#flush();
  }

  #flush(): string {
    let out = '';
    for (;;) {
      out += this.#begin();
      const answer = this.#streaming;
      if (!answer) return out;
      if (answer.text !== '') this.#spokeAtMs = this.#clock.nowMs();
      out += printable(answer.text);
      answer.text = '';
      if (answer.isFinished) {
        this.#answers.delete(answer.id);
        out += answer.ending + this.#stop();
      } else if (this.#isSilent() && this.#anotherHasText(answer)) {
        // To the end of the queue.
        this.#answers.delete(answer.id);
        this.#answers.set(answer.id, answer);
        answer.note = 'goes on';
        out += this.#stop();
      } else return out;
    }
  }

  /** Lets the first answer in the queue that has something to say stream, if none does. */
  #begin(): string {
    if (this.#streaming) return '';
    const next = [...this.#answers.values()].find(({ text, isFinished }) => text !== '' || isFinished);
    if (!next) return '';
    this.#streaming = next;
    this.#spokeAtMs = this.#clock.nowMs();
    const about = [`step ${next.step}`, next.note].filter(Boolean).join(', ');
    return `${this.#style.bold(printable(next.id))} ${this.#style.dim(`(${about})`)}\n`;
  }

  #stop(): string {
    this.#streaming = null;
    return '\n\n';
  }

  #isSilent(): boolean {
    return this.#clock.nowMs() - this.#spokeAtMs > SILENT_MS;
  }

  #anotherHasText(answer: Answer): boolean {
    return [...this.#answers.values()].some((each) => each !== answer && each.text !== '');
  }
}
