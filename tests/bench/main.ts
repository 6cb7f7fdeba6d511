import { Command, CommanderError } from 'commander';
import { forgetBench } from './forget/forget.ts';
import { generateBench } from './generate.ts';
import { kafkaBench } from './kafka/kafka.ts';
import { learnBench } from './learn.ts';
import { loadBench } from './load.ts';
import { operatorsBench } from './operators.ts';
import { pipelineBench } from './pipeline.ts';
import { redeployBench } from './redeploy.ts';
import { snapshotBench } from './snapshot.ts';
import { surpriseBench } from './surprise/surprise.ts';
import { trainBench } from './train.ts';

/** `npm run bench -- <name>`: every bench is a command of its own. Exit codes: 0 done, 1 failed, 2 wrong usage. */
const program = new Command('npm run bench --')
  .description('Measure Millrace on this machine. Nothing else should be running meanwhile.')
  .exitOverride()
  .showHelpAfterError('(add --help for what can be said here)');
const benches = [
  trainBench,
  pipelineBench,
  learnBench,
  operatorsBench,
  kafkaBench,
  generateBench,
  loadBench,
  snapshotBench,
  redeployBench,
  surpriseBench,
  forgetBench,
];
for (const bench of benches.map((make) => make())) {
  program.addCommand(bench.exitOverride().showHelpAfterError('(add --help for what can be said here)'));
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
}
