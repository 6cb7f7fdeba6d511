import * as fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Element } from '../../../operators/flow.ts';
import { hitFinder, redact } from '../../../operators/redact.ts';
import type { RedactOptions } from '../../../operators/redact.ts';
import { mergeHits } from '../../../operators/redaction/hit.ts';
import type { Document } from '../../../operators/types.ts';
import { sotuRecords } from '../../../pipelines/job/feeds/sotu.ts';
import { TestSource, asStored, valuesOf } from '../../support/elements.ts';
import { marbles } from '../../support/marbles.ts';

const source = new TestSource();
const at = { topic: 'text', partition: 0, offset: 1 };

function document(text: string): Document {
  return { text, byteCount: Buffer.byteLength(text), at, timestampMs: 5 };
}

function counts(email: number): object {
  return { counts: { redact: email > 0 ? { redacted: { email } } : {} } };
}

async function redacted(text: string, options: RedactOptions = {}): Promise<string> {
  const output = await lastValueFrom(from([source.item(document(text))]).pipe(redact(options), toArray()));
  const [result] = valuesOf(output);
  expect(result?.byteCount).toBe(Buffer.byteLength(result?.text ?? ''));
  return result?.text ?? '';
}

const AWS = 'AKIAIOSFODNN7EXAMPLE';
const GITHUB = `ghp_${'aB3dE6gH9j'.repeat(4).slice(0, 36)}`;
const RANDOM = 'q7Zt0Wm4Xv9Kc2Lr';
const KEY_LINES = 'MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun\n'.repeat(3);

describe('redact', () => {
  it.each([
    // E-mail
    ['Write to ada.lovelace+x@mail.example.org.', 'Write to <EMAIL>.'],
    ['<mailto:müller@exämple.de>, O’Neil: o@ok.co', '<mailto:<EMAIL>>, O’Neil: <EMAIL>'],
    ['a@b.com,c@d.com@e.com', '<EMAIL>,<EMAIL>@e.com'],
    // Telephones
    ['Call +49 30 901820 or (213) 373-4253, ext. 4', 'Call <PHONE> or <PHONE>, ext. 4'],
    ['tel:+12133734253; 1-213-373-4253; 213.373.4253', 'tel:<PHONE>; <PHONE>; <PHONE>'],
    // Cards: published test numbers
    ['4111 1111 1111 1111, 378282246310005, 5555-5555-5555-4444', '<CARD>, <CARD>, <CARD>'],
    // IBAN: the registry's examples
    ['DE89 3704 0044 0532 0130 00 and GB29NWBK60161331926819.', '<IBAN> and <IBAN>.'],
    // Addresses
    ['GET from 203.0.113.77:8080 and 2001:db8:85a3::8a2e:370:7334', 'GET from <IP>:8080 and <IP>'],
    ['[fe80::1%eth0] 10.0.0.1/8', '[<IP>%eth0] <IP>/8'],
    // Secrets
    [`id ${AWS} of ${GITHUB}`, 'id <API_KEY> of <API_KEY>'],
    ['xoxb-123456789012-abcdefABCDEF and sk-proj-Ab3dEf6hIj9lMn0pQr_s', '<API_KEY> and <API_KEY>'],
    ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_X', 'Bearer <JWT>'],
    ['postgres://app:hunter2@db.local/x', 'postgres://app:<PASSWORD>@db.local/x'],
    [`API_KEY="${RANDOM}", x`, 'API_KEY="<SECRET>", x'],
    [`{"client_secret": "${RANDOM}"}`, '{"client_secret": "<SECRET>"}'],
    [`Authorization: Bearer ${RANDOM}`, 'Authorization: Bearer <SECRET>'],
    ['password: Tr0ub4dor&3', 'password: <PASSWORD>'],
    [`a\n-----BEGIN RSA PRIVATE KEY-----\n${KEY_LINES}-----END RSA PRIVATE KEY-----\nb`, 'a\n<PRIVATE_KEY>\nb'],
    [`-----BEGIN PRIVATE KEY-----\n${KEY_LINES}`, '<PRIVATE_KEY>'],
  ])('replaces what it should in %j', async (text, wanted) => {
    expect(await redacted(text)).toBe(wanted);
  });

  it.each([
    'From 1790 to 2021, in 1812-1815, on 2021-11-03 10:20:30, 03.11.2021 and 11/03/2021.',
    'Version 1.2.3.4, v10.20.30.40, "version": "91.0.4472.12", chapter 1.2.3.4 and 1.2.3.4.5 of OID 1.3.6.1.4.1',
    'localhost is 127.0.0.1 or ::1; 0.0.0.0 is any, and 255.255.255.0 a mask; std::vector, dead::beef, 12:34:56',
    'icon@2x.png, pkg@1.2.3, @scope/name, git@github.com:owner/repo.git, name@latest.tgz, a @ b',
    '4111 1111 1111 1112 fails Luhn; 1234567890123456 has no issuer; 4111-1111 1111-1111 is grouped oddly',
    'DE88 3704 0044 0532 0130 00 has a wrong checksum, XX89 3704 0044 0532 0130 00 no country',
    '9007199254740991, 2133734253, 1,234,567.89 and 3.14159265358979323846, $213 373 4253',
    'd41d8cd98f00b204e9800998ecf8427e and da39a3ee5e6b4b0d3255bfef95601890afd80709',
    'token = process.env.GITHUB_TOKEN; const secret = config.server.secret2; password: ${PASSWORD1}',
    'the secret: understanding, tokens: 100000000000000000, api_key: YOUR_API_KEY_1234567, key=value1',
    'sha512-K7zFj0vB2mQpX9tLr4sN8wYc1uHdGe5aVfRiOkJbTnMqSx3ZyPlC6WoEhDgUt0A2Q==',
    'task-1234567890abcdefghijABC, risk-assessment-of-the-year-2021-AB',
    '-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----, -----BEGIN PUBLIC KEY-----',
  ])('leaves what only looks like it: %j', async (text) => {
    expect(await redacted(text)).toBe(text);
  });

  it('finds only the kinds that it is told, hashes among them, and numbers of the countries that it is told', async () => {
    const text = 'a@b.com d41d8cd98f00b204e9800998ecf8427e (030) 901820';
    expect(await redacted(text, { kinds: ['hash'] })).toBe('a@b.com <HASH> (030) 901820');
    expect(await redacted(text, { kinds: ['phone'], phoneCountries: ['DE'] })).toMatch(/ <PHONE>$/);
    expect(await redacted(text, { kinds: ['phone'], phoneCountries: [] })).toBe(text);
  });

  it('finds nothing in addresses to Congress from 1790 to 2021', async () => {
    const find = hitFinder({});
    const texts = (await sotuRecords()).map(({ value }) => Buffer.from(value).toString());
    const found = texts.flatMap((text) => find(text).map(({ start, end }) => text.slice(start, end)));
    expect(texts.length).toBeGreaterThan(200);
    expect(found).toEqual([]);
  });

  it('lets marks pass, emits under the bytes of the new text, and says how much it has redacted', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const local = new TestSource();
      const values = {
        a: local.item(document('nothing'), 7),
        b: local.item(document('a@b.com a@b.com'), 15),
        r: local.restore(),
        t: local.tick(1),
        c: local.barrier(),
      };
      const expected = {
        ...values,
        a: { ...values.a, ...counts(0) },
        b: { ...local.item(document('<EMAIL> <EMAIL>'), 15), ...counts(2) },
        t: { ...values.t, ...counts(2) },
        c: { ...local.barrier({ redact: { state: { redacted: { email: 2 } } } }), ...counts(2) },
      };
      const flow = cold('                          rabtc-|', values);
      expectObservable(flow.pipe(redact())).toBe(' rabtc-|', expected);
      expectSubscriptions(flow.subscriptions).toBe('^-----!');
      const failing = cold('a-#', values);
      expectObservable(failing.pipe(redact())).toBe('a-#', expected);
      const endless = cold('a--a', values);
      expectObservable(endless.pipe(redact()), '^-!').toBe('a--', expected);
      expectSubscriptions(endless.subscriptions).toBe('^-!');
    });
  });

  it('goes on counting from a cut', async () => {
    const barrier = source.barrier();
    const item = source.item(document('a@b.com'));
    await lastValueFrom(from([item, barrier]).pipe(redact(), toArray()));
    const flow: Element<Document>[] = [source.restore(asStored(barrier.basket)), item];
    const output = await lastValueFrom(from(flow).pipe(redact(), toArray()));
    expect(output.at(-1)).toMatchObject({ counts: { redact: { redacted: { email: 2 } } } });
  });

  const planted = fc.constantFrom(
    ['ada@example.org', '<EMAIL>'],
    ['4111111111111111', '<CARD>'],
    ['DE89370400440532013000', '<IBAN>'],
    ['+1 213 373 4253', '<PHONE>'],
    ['203.0.113.77', '<IP>'],
    ['2001:db8:85a3::8a2e:370:7334', '<IP>'],
    [GITHUB, '<API_KEY>'],
  );
  const words = fc.array(fc.oneof(fc.lorem({ maxCount: 1 }), fc.string({ unit: 'grapheme', maxLength: 8 })), {
    maxLength: 6,
  });

  it('replaces what is planted between any words, keeps the words, and changes nothing the second time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(words, planted), { maxLength: 6 }), async (parts) => {
        const bare = (await Promise.all(parts.map(([some]) => redacted(some.join(' '))))).join('\n');
        // A word that is something itself, or makes one with its neighbour, is another property's matter.
        fc.pre(!bare.includes('<'));
        const text = parts.map(([some, [secret]]) => `${some.join(' ')}\n${secret}\n`).join('');
        const wanted = parts.map(([some, [, placeholder]]) => `${some.join(' ')}\n${placeholder}\n`).join('');
        const once = await redacted(text);
        expect(once).toBe(wanted);
        expect(await redacted(once)).toBe(once);
      }),
      { numRuns: 200 },
    );
  });

  it('takes time that grows with the length only, whatever the text tries', () => {
    const find = hitFinder({ kinds: ['secret', 'card', 'iban', 'email', 'phone', 'ip', 'hash'] });
    const bits = [
      'a',
      '1',
      '1 ',
      '@',
      'a.',
      '@a.',
      '1-',
      '+1',
      ':',
      '1:',
      '1.',
      '-----BEGIN PRIVATE KEY-----',
      'eyJ',
      'eyJ.',
    ];
    for (const bit of [
      ...bits,
      'DE12 ',
      'password=',
      '(1',
      'token:token=',
      'sk-',
      'http://a:',
      '\n',
      'AKIA',
      '-----END ',
    ]) {
      const text = bit.repeat(Math.ceil(300_000 / bit.length));
      // Quadratic, this alone would run into the limit of the test.
      expect(find(text)).toBeInstanceOf(Array);
    }
  });
});

describe('hits of several kinds', () => {
  it('are in order and apart, and of those that overlap the earlier found stay', () => {
    const span = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 9 }));
    const apart = fc.array(span, { maxLength: 9 }).map((spans) => {
      const hits: { start: number; end: number; placeholder: string }[] = [];
      for (const [start, length] of spans.toSorted(([a], [b]) => a - b)) {
        if (start >= (hits.at(-1)?.end ?? 0)) hits.push({ start, end: start + length, placeholder: '' });
      }
      return hits;
    });
    fc.assert(
      fc.property(apart, apart, (earlier, later) => {
        const free = later.filter((hit) => !earlier.some(({ start, end }) => start < hit.end && hit.start < end));
        expect(mergeHits(earlier, later)).toEqual([...earlier, ...free].toSorted((a, b) => a.start - b.start));
      }),
    );
  });
});
