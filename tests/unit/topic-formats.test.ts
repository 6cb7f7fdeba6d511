import { describe, expect, it } from 'vitest';
import { encodeInput } from '../../pipelines/topics/encode.ts';
import { formatsOf } from '../../pipelines/topics/formats.ts';

const formats = formatsOf({
  topics: {
    words: { partitions: 1, format: 'text' },
    events: { partitions: 1, format: 'json' },
    nested: { partitions: 1, format: 'json', field: 'message.text' },
  },
});

async function encoded(topic: string, input: string | Uint8Array): Promise<string> {
  return Buffer.from(await encodeInput(Buffer.from(input), formats.of(topic))).toString('latin1');
}

describe('input for a topic', () => {
  it('passes unchanged where values are text, also what is none', async () => {
    for (const topic of ['words', 'undeclared']) {
      expect(await encoded(topic, Buffer.of(0xff, 0x7b))).toBe('\xff{');
      expect(await encoded(topic, '{"text": "a"}')).toBe('{"text": "a"}');
    }
  });

  it('goes into the field of JSON, unless it is an object already', async () => {
    expect(await encoded('events', 'a "b"')).toBe('{"text":"a \\"b\\""}');
    expect(await encoded('nested', '[1]')).toBe('{"message":{"text":"[1]"}}');
    expect(await encoded('nested', '{"message": {"text": "a"}, "id": 1}')).toBe('{"message":{"text":"a"},"id":1}');
    expect(await encoded('events', '{"text": ')).toBe('{"text":"{\\"text\\": "}');
  });

  it('is refused where it is no text', async () => {
    await expect(encoded('events', Buffer.of(0xff))).rejects.toMatchObject({ code: 'value-unfit' });
  });
});
