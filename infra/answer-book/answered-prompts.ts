import { z } from 'zod';
import { MillraceError } from '../../operators/errors.ts';
import type { Position } from '../../operators/ports.ts';

/** What is said with a position beyond which prompts have answers too. */
const metadataSchema = z.object({ answeredTo: z.int(), open: z.array(z.int()) });

/**
 * Which prompts of one partition have an answer. Several are answered at once, and a later one may be done first, so this
 * is more than an offset: all below `answeredTo` but those that are open. Since prompts are begun in order, the open ones
 * are at most as many as are answered at once, which keeps what is committed short.
 *
 * As a position: its offset is the first prompt without an answer, as others expect of a group that consumes.
 */
export class AnsweredPrompts {
  #answeredTo = 0;
  /** Below `#answeredTo`, without an answer. */
  #open = new Set<number>();
  /** From `#answeredTo` on, on their way. */
  #begun = new Set<number>();

  has(offset: number): boolean {
    return offset < this.#answeredTo && !this.#open.has(offset);
  }

  /** Notes that a prompt is being answered. They begin in order of offset, those of an earlier life first. */
  begin(offset: number): void {
    if (offset >= this.#answeredTo) this.#begun.add(offset);
  }

  finish(offset: number): void {
    this.#open.delete(offset);
    this.#begun.delete(offset);
    if (offset < this.#answeredTo) return;
    this.#answeredTo = offset + 1;
    this.#openPassed();
  }

  /** Takes in what an earlier life has committed. Throws `state-invalid`. */
  restore({ offset, metadata, topic, partition }: Position): void {
    const { answeredTo, open } = metadata ? parse(metadata, topic, partition) : { answeredTo: offset, open: [] };
    this.#answeredTo = answeredTo;
    this.#open = new Set(open);
    for (const begun of this.#begun) if (begun < answeredTo) this.#begun.delete(begun);
  }

  /** How it will be once these have an answer too; nothing here changes. */
  with(offsets: readonly number[]): AnsweredPrompts {
    const copy = new AnsweredPrompts();
    copy.#answeredTo = this.#answeredTo;
    copy.#open = new Set(this.#open);
    copy.#begun = new Set(this.#begun);
    for (const offset of offsets) copy.finish(offset);
    return copy;
  }

  position(): Pick<Position, 'offset' | 'metadata'> {
    const open = [...this.#open].toSorted((a, b) => a - b);
    const [first] = open;
    if (first === undefined) return { offset: this.#answeredTo };
    return { offset: first, metadata: JSON.stringify({ answeredTo: this.#answeredTo, open }) };
  }

  /** Prompts that were passed on the way to `#answeredTo`. */
  #openPassed(): void {
    for (const offset of this.#begun) {
      if (offset >= this.#answeredTo) continue;
      this.#begun.delete(offset);
      this.#open.add(offset);
    }
  }
}

function parse(metadata: string, topic: string, partition: number): z.output<typeof metadataSchema> {
  try {
    return metadataSchema.parse(JSON.parse(metadata));
  } catch (cause) {
    throw new MillraceError(
      'state-invalid',
      `What was committed with the answers to ${topic}/${partition} can't be read. Has something else committed positions ` +
        'under their group? Without it, it is not known which prompts have an answer: start a new job with --fresh.',
      { cause },
    );
  }
}
