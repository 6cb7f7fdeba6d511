import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/**
 * `npm run check [-- --report FILE]`: all checks, one after the other, whatever became of the ones before. Each is an npm
 * script of its own and can be run alone.
 */
const checks = ['format', 'lint', 'types', 'imports', 'dead', 'unit'];

const results = checks.map((name) => {
  console.log(`\n── check:${name}`);
  const { status } = spawnSync('npm', ['run', '--silent', `check:${name}`], { stdio: 'inherit' });
  return { name, ok: status === 0 };
});

console.log();
for (const { name, ok } of results) console.log(`${ok ? '✓' : '✗'} ${name}`);

const [flag, file] = process.argv.slice(2);
if (flag === '--report' && file) writeFileSync(file, JSON.stringify(results));
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
