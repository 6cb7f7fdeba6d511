/** Produces batches to topic `text` of a folder's log, and prints the number of each once it is acknowledged. */
import { openEmbeddedLog } from '../../../infra/embedded-log/index.ts';

const [directory = '', name = '', batches = '', batchSize = ''] = process.argv.slice(2);
const log = await openEmbeddedLog(directory);
for (let at = 0; at < Number(batches); at += 1) {
  const records = Array.from({ length: Number(batchSize) }, (_, part) => ({ value: `${name}:${at}:${part}` }));
  await log.produce('text', records);
  process.stdout.write(`${at}\n`);
}
await log.close();
