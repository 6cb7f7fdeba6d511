/**
 * Cuts a long text into parts of at least `minLength` UTF-16 units that are tokenized to the same tokens as the whole.
 * Cuts are made where the words of the byte-level pre-tokenizers (those of GPT-2, GPT-4, Llama 3, Qwen) end whatever
 * comes before or after: between a letter and white space, and between a single line feed and a letter. Where no such
 * place comes, the part goes on to the text's end.
 */
export function* splitText(text: string, minLength: number): Iterable<string> {
  const place = /\p{L}(?=\p{White_Space})|(?<=\P{White_Space})\n(?=\p{L})/gu;
  let start = 0;
  while (text.length - start > minLength) {
    place.lastIndex = start + minLength;
    if (!place.test(text)) break;
    yield text.slice(start, place.lastIndex);
    start = place.lastIndex;
  }
  yield text.slice(start);
}
