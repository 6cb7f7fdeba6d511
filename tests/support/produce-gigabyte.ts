import { openEmbeddedLog } from '../../infra/index.ts';

/** Produces 1 GB of text to topic `text` of the log in the folder named, as fast as the log takes it. */
const [folder = ''] = process.argv.slice(2);
const record = Buffer.from('the mill race leads a stream onto a wheel; '.repeat(1600).slice(0, 64 * 1024));
const log = await openEmbeddedLog(folder);
for (let done = 0; done < 16 * 1024; done += 64) {
  await log.produce(
    'text',
    Array.from({ length: 64 }, () => ({ value: record })),
  );
}
await log.close();
