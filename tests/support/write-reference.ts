import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { operatorReference } from '../../pipelines/spec/reference.ts';

/** Puts the reference of operators into README, between its two marks; `npm run docs`. */
const readme = new URL('../../README.md', import.meta.url);
const [start, end] = ['<!-- operators: made by npm run docs -->', '<!-- /operators -->'];
const [before = '', rest = ''] = readFileSync(readme, 'utf8').split(start);
const [, after = ''] = rest.split(end);
const text = `${before}${start}\n\n${operatorReference()}\n\n${end}${after}`;
writeFileSync(readme, await format(text, { parser: 'markdown', printWidth: 120 }));
