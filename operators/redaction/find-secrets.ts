import { hitsOf, mergeHits } from './hit.ts';
import type { Hit } from './hit.ts';

/** Keys that say by their form what they are. Each begins with something that no word begins with. */
const KEYS = new RegExp(
  [
    '(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])', // AWS, id of an access key
    'gh[pousr]_[A-Za-z0-9]{36,251}', // GitHub
    'github_pat_[A-Za-z0-9_]{22,255}',
    'glpat-[\\w-]{20,}', // GitLab
    'xox[abeoprs]-[A-Za-z0-9-]{10,250}', // Slack
    'xapp-\\d-[A-Za-z0-9-]{10,250}',
    'sk-(?=[\\w-]*\\d)(?=[\\w-]*[A-Z])[\\w-]{20,250}', // OpenAI, Anthropic, and who follows them
    '(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,99}', // Stripe
    'AIza[\\w-]{35}(?![\\w-])', // Google
    'npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])',
    'hf_[A-Za-z]{34}(?![A-Za-z0-9])', // Hugging Face
    'SG\\.[\\w-]{20,24}\\.[\\w-]{39,50}', // SendGrid
    'pypi-AgEIcHlwaS5vcmc[\\w-]{50,250}',
  ]
    .map((pattern) => `(?:${pattern})`)
    .join('|')
    .replace(/^/, '(?<![\\w-])(?:')
    .replace(/$/, ')'),
  'g',
);

/** JSON Web Token: header, payload and signature in base64url; both of the first begin with `{"`. */
const JWT = /(?<![\w-])eyJ[\w-]{8,2000}\.eyJ[\w-]{8,8000}\.[\w-]{8,2000}/g;

const SLACK_HOOK = /https:\/\/hooks\.slack\.com\/services\/T\w{6,14}\/B\w{6,14}\/\w{16,40}/g;

/** `scheme://user:password@host`. */
const URL_PASSWORD = /(?<=[a-z]:\/\/[\w.%+-]{0,64}:)[^\s:/@"'<>{}$]{3,100}(?=@[\w.-])/g;

const KEY_BEGIN = '-----BEGIN ';
const KEY_END = '-----END ';
const KEY_HEADER = /-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/y;
const KEY_FOOTER = /-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/y;
/** What such a block holds; of one without an end, all of that goes. */
const KEY_BODY = /[\sA-Za-z0-9+/=]*/y;
const LONGEST_KEY = 20_000;

/** Finds secrets of services, private keys, passwords in URLs, and values that are given to what is called a secret. */
export function findSecrets(text: string): readonly Hit[] {
  return [
    privateKeys(text),
    hitsOf(text, KEYS, '<API_KEY>'),
    text.includes('eyJ') ? hitsOf(text, JWT, '<JWT>') : [],
    text.includes('://') ? hitsOf(text, SLACK_HOOK, '<API_KEY>') : [],
    text.includes('://') ? hitsOf(text, URL_PASSWORD, '<PASSWORD>') : [],
    assignedSecrets(text),
  ].reduce(mergeHits);
}

function privateKeys(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  let footer = 0;
  for (let start = text.indexOf(KEY_BEGIN); start >= 0; start = text.indexOf(KEY_BEGIN, start + 1)) {
    const body = endOf(KEY_HEADER, text, start);
    if (body === null) continue;
    if (footer >= 0 && footer < body) footer = text.indexOf(KEY_END, body);
    const isNear = footer >= 0 && footer - body <= LONGEST_KEY;
    const end = (isNear ? endOf(KEY_FOOTER, text, footer) : null) ?? endOf(KEY_BODY, text, body) ?? body;
    hits.push({ start, end, placeholder: '<PRIVATE_KEY>' });
    start = end - 1;
  }
  return hits;
}

function endOf(pattern: RegExp, text: string, from: number): number | null {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : null;
}

/** A name that says that its value is secret, `=`, `:` or `=>`, and the value, which may be in quotes. */
const ASSIGNED =
  /(?:(passwo?r?d|passwd|pwd|passphrase)|api[_-]?key|secret|token|credentials?|authorization|private[_-]?key|access[_-]?key|account[_-]?key)[a-z0-9_-]{0,20}["'`]?[ \t]{0,3}(?:=>|:=|=|:)[ \t]{0,3}["'`]?(?:(?:bearer|basic|token)[ \t]+)?([^\s"'`,;<>(){}[\]]{8,400})/gi;

/** What stands for a value, or fetches it. */
const NO_VALUE =
  /example|your|xxx|placeholder|changeme|\.\.\.|\*\*\*|^https?:|^[$%/.]|\$\{|^[a-z_$][\w$]*(?:\.[a-z_$][\w$]*)+$/i;

function assignedSecrets(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  for (const { 0: match, 1: password, 2: value = '', index } of text.matchAll(ASSIGNED)) {
    const bare = value.replace(/[.:!?)]+$/, '');
    if (NO_VALUE.test(bare) || !looksRandom(bare, password === undefined)) continue;
    const start = index + match.length - value.length;
    hits.push({ start, end: start + bare.length, placeholder: password === undefined ? '<SECRET>' : '<PASSWORD>' });
  }
  return hits;
}

/**
 * Whether a value is nothing that one would say: letters and digits, of so many bits a character (Shannon entropy of its
 * characters) that words, versions and numbers fall short. Passwords are shorter than keys.
 */
function looksRandom(value: string, isKey: boolean): boolean {
  if (!/[a-z]/i.test(value) || !/\d/.test(value)) return false;
  return isKey ? value.length >= 16 && entropyOf(value) >= 3.5 : entropyOf(value) >= 2.75;
}

function entropyOf(value: string): number {
  const counts = new Map<string, number>();
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1);
  const shares = [...counts.values()].map((count) => count / value.length);
  return -shares.reduce((sum, share) => sum + share * Math.log2(share), 0);
}
