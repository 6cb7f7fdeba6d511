import { openEmbeddedLog, openKafkaLog } from '../../../infra/index.ts';
import type { TopicLog } from '../../../operators/index.ts';
import { kilobyteDocuments } from './documents.ts';
import { sectionNamed } from './sections.ts';

/** Measures one section in a process of its own, as `measureSection` says, and prints its figures. */
const [name = '', place = '', rounds = ''] = process.argv.slice(2);
const log: TopicLog = place.includes(':') ? await openKafkaLog({ brokers: [place] }) : await openEmbeddedLog(place);
try {
  const documents = await kilobyteDocuments();
  console.log(JSON.stringify(await sectionNamed(name)({ log, place, documents, rounds: Number(rounds) })));
} finally {
  await log.close();
}
