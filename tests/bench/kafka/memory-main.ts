import { openEmbeddedLog, openKafkaLog } from '../../../infra/index.ts';
import { ownBytes } from '../peak-rss.ts';
import { documents } from './read.ts';

/** Reads a topic into documents and prints this process's own memory in bytes: after a tenth of them, and at its peak. */
const [place = '', topic = '', count = ''] = process.argv.slice(2);
const enough = Number(count);
const log = place.includes(':') ? await openKafkaLog({ brokers: [place] }) : await openEmbeddedLog(place);
await documents('warming up', log, topic, enough / 10).turn();
const settled = ownBytes(process.pid) ?? 0;
let peak = settled;
const sampling = setInterval(() => (peak = Math.max(peak, ownBytes(process.pid) ?? 0)), 10);
await documents('reading', log, topic, enough).turn();
clearInterval(sampling);
await log.close();
console.log(JSON.stringify({ settled, peak }));
