import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sotuRecords } from '../../../pipelines/job/feeds/sotu.ts';

const MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));
/** Of a domain's passages, one in so many is held out. */
const HELD_OUT_EVERY = 16;
const PASSAGE_CHARACTERS = 4000;

/** Text of one kind, in passages of some thousand characters. */
export interface Domain {
  readonly name: string;
  /** In their order. */
  readonly passages: readonly string[];
  /** Never trained on. */
  readonly heldOut: readonly string[];
}

/** State of the Union addresses from 1790 to 1899, in order of time, so many bytes of them. */
export async function addresses(bytes: number): Promise<Domain> {
  const records = await sotuRecords();
  const old = records.filter(({ key }) => key < '1900');
  return domain(
    'addresses',
    old.map(({ value }) => Buffer.from(value).toString()),
    bytes,
  );
}

/** What the packages that `npm ci` installs say of themselves, each text once, in order of their paths. */
export async function readmes(bytes: number): Promise<Domain> {
  const names = await readdir(MODULES, { recursive: true });
  const paths = names.filter((name) => /(^|\/)readme\.md$/i.test(name)).toSorted();
  const texts = new Map<string, string>();
  for (const path of paths) {
    const text = await readFile(join(MODULES, path), 'utf8');
    texts.set(createHash('sha256').update(text).digest('hex'), text);
  }
  return domain('readmes', [...texts.values()], bytes);
}

function domain(name: string, texts: readonly string[], bytes: number): Domain {
  const all: string[] = [];
  let taken = 0;
  for (const passage of texts.flatMap(passagesOf)) {
    if (taken >= bytes) break;
    all.push(passage);
    taken += Buffer.byteLength(passage);
  }
  const passages = all.filter((_, at) => !isHeldOut(at));
  return { name, passages, heldOut: all.filter((_, at) => isHeldOut(at)) };
}

function isHeldOut(at: number): boolean {
  return at % HELD_OUT_EVERY === HELD_OUT_EVERY - 1;
}

/** A text in pieces that end where its lines do, as far as these are short. */
function passagesOf(text: string): string[] {
  const passages: string[] = [];
  let passage = '';
  for (const line of text.split(/(?<=\n)/)) {
    if (passage.length > 0 && passage.length + line.length > PASSAGE_CHARACTERS) {
      passages.push(passage);
      passage = '';
    }
    passage += line;
  }
  return passage.trim() === '' ? passages : [...passages, passage];
}
