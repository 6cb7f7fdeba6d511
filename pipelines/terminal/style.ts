import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** The few accents that the command line uses. */
export interface Style {
  dim(text: string): string;
  bold(text: string): string;
  warn(text: string): string;
}

const colours: Style = {
  dim: (text) => styleText('dim', text),
  bold: (text) => styleText('bold', text),
  warn: (text) => styleText('yellow', text),
};
const plain: Style = { dim: (text) => text, bold: (text) => text, warn: (text) => text };

/** Accents where a terminal shows them; none elsewhere, nor where NO_COLOR or TERM=dumb asks for none. */
export function styleFor(stream: Writable): Style {
  return isTerminal(stream) && stream.hasColors?.() ? colours : plain;
}

interface Terminal extends Writable {
  readonly isTTY: true;
  readonly columns?: number;
  hasColors?(): boolean;
}

export function isTerminal(stream: Writable): stream is Terminal {
  return 'isTTY' in stream && stream.isTTY === true;
}
