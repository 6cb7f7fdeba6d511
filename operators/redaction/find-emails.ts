import type { Hit } from './hit.ts';

/** Longest local part (RFC 5321, 4.5.3.1.1). */
const LONGEST_LOCAL = 64;

/** Domain behind an `@`: labels with dots between, the last without digits. */
const DOMAIN = /(?:[a-z0-9À-ɏ](?:[a-z0-9À-ɏ-]{0,61}[a-z0-9À-ɏ])?\.)+([a-z]{2,24})(?![a-z0-9_-])/iy;

/** Endings of files' names, which stand behind an `@` in `icon@2x.png` and `name@latest.tgz`. */
const FILE_ENDINGS = new Set(
  'png jpg jpeg gif svg webp ico css scss less js mjs cjs ts tsx jsx json html htm xml txt md yml yaml lock log map gz tgz zip'.split(
    ' ',
  ),
);

/** E-mail addresses as people write them: no quotes, no comments. The user `git` of `git@host:path` is nobody's address. */
export function findEmails(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  let free = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const start = localStart(text, at, free);
    if (start === at || text.slice(start, at) === 'git') continue;
    DOMAIN.lastIndex = at + 1;
    const domain = DOMAIN.exec(text);
    if (!domain || FILE_ENDINGS.has((domain[1] ?? '').toLowerCase())) continue;
    free = at + 1 + domain[0].length;
    hits.push({ start, end: free, placeholder: '<EMAIL>' });
  }
  return hits;
}

/** Where the local part in front of an `@` begins; at the `@` where there is none. */
function localStart(text: string, at: number, free: number): number {
  const first = Math.max(free, at - LONGEST_LOCAL);
  let start = at;
  while (start > first && isLocal(text.charCodeAt(start - 1))) start -= 1;
  while (start < at && !isLetterOrDigit(text.charCodeAt(start))) start += 1;
  return text[at - 1] === '.' ? at : start;
}

function isLocal(code: number): boolean {
  // . _ % + - and '
  return isLetterOrDigit(code) || [0x2e, 0x5f, 0x25, 0x2b, 0x2d, 0x27].includes(code);
}

/** Of the Latin script. */
function isLetterOrDigit(code: number): boolean {
  const folded = code | 0x20;
  return (folded >= 0x61 && folded <= 0x7a) || (code >= 0x30 && code <= 0x39) || (code >= 0xc0 && code <= 0x24f);
}
