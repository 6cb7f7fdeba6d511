/**
 * What llama.cpp makes of a GGUF file, by npm's node-llama-cpp.
 *
 * Usage: llama.mjs PACKAGE FILE TEXTS PROMPT COUNT: prints as JSON the tokens of each text, and what is said behind the prompt
 * when it is always the likeliest token, as tokens and as text.
 */
import { pathToFileURL } from 'node:url';

const [, , packageFile = '', file = '', texts = '[]', prompt = '', count = '0'] = process.argv;
const { getLlama } = await import(pathToFileURL(packageFile).href);

const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: file });
const float = { experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32', flashAttention: false };
const context = await model.createContext({ contextSize: 64, threads: 1, ...float });
const sequence = context.getSequence();
const said = [];
const start = [model.tokens.bos, ...model.tokenize(prompt)];
for await (const token of sequence.evaluate(start, { temperature: 0 })) {
  said.push(token);
  if (said.length === Number(count)) break;
}
const answer = {
  begins: model.tokens.shouldPrependBosToken,
  tokens: JSON.parse(texts).map((/** @type {string} */ text) => model.tokenize(text)),
  said,
  text: model.detokenize(said),
};
console.log(JSON.stringify(answer));
await llama.dispose();
