/**
 * The import rules of the house. Imports point one way: model ← operators ← infra ← pipelines, and nothing imports
 * tests. `tests/fixtures/imports` breaks every one of these rules; a unit test proves that each is caught.
 */
const ours = '^(pipelines|operators|model|infra|tests)/';

/** Matches an npm package, whether it is installed or not. */
const packages = (...names) => `(^|node_modules/)(${names.join('|')})(/|$)`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'model-imports-nothing-of-ours',
      comment: 'The model knows no streams: it stands alone.',
      severity: 'error',
      from: { path: '^model/' },
      to: { path: ours, pathNot: '^model/' },
    },
    {
      name: 'model-knows-no-streams',
      comment: 'Streams and logs belong to operators and infra.',
      severity: 'error',
      from: { path: '^model/' },
      to: { path: packages('rxjs', 'kafkajs', 'lmdb') },
    },
    {
      name: 'operators-take-only-types-of-model',
      comment: 'Use `import type`; what runs the model is a port (operators/ports.ts).',
      severity: 'error',
      from: { path: '^operators/' },
      to: { path: '^model/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'operators-import-no-adapters',
      comment: 'Operators talk to ports; infra implements them and pipelines puts them together.',
      severity: 'error',
      from: { path: '^operators/' },
      to: { path: '^(infra|pipelines)/' },
    },
    {
      name: 'operators-know-no-kafka',
      comment: 'Logs, stores and TensorFlow are behind ports.',
      severity: 'error',
      from: { path: '^operators/' },
      to: { path: packages('kafkajs', 'lmdb', '@tensorflow') },
    },
    {
      name: 'infra-imports-no-pipelines',
      comment: 'Only pipelines knows how the parts are put together.',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^pipelines/' },
    },
    {
      name: 'nothing-imports-tests',
      comment: 'What is shipped must not need what is not.',
      severity: 'error',
      from: { path: ours, pathNot: '^tests/' },
      to: { path: '^tests/' },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that need each other at run time are one module, or miss a third one. Types may go round.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^tests/fixtures/' },
    // Type imports count: a rule may forbid them, or forbid all but them.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
};
