import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';
import { graphJsonSchema } from '../../pipelines/spec/graph-schema.ts';
import { operatorReference } from '../../pipelines/spec/reference.ts';

/** Puts the reference of operators into README, between its two marks, and the schema of graphs beside its source. */
const readme = new URL('../../README.md', import.meta.url);
const [start, end] = ['<!-- operators: made by npm run docs -->', '<!-- /operators -->'];
const [before = '', rest = ''] = readFileSync(readme, 'utf8').split(start);
const [, after = ''] = rest.split(end);
const text = `${before}${start}\n\n${operatorReference()}\n\n${end}${after}`;
writeFileSync(readme, await format(text, { parser: 'markdown', printWidth: 120 }));

const schema = new URL('../../pipelines/spec/graph.schema.json', import.meta.url);
writeFileSync(schema, await format(JSON.stringify(graphJsonSchema()), { parser: 'json', printWidth: 120 }));
