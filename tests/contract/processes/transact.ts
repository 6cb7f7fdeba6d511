/**
 * Makes records of a topic's records, a transaction each, from where the group stands; prints the offset of each once it is
 * committed. Arguments: the log's kind and address, the id of the transactions, the group, the topic, and its outputs.
 */
import { openEmbeddedLog, openKafkaLog } from '../../../infra/index.ts';
import { madeOf } from '../topic-log/made-of.ts';

const [kind = '', address = '', id = '', group = '', topic = '', ...outputs] = process.argv.slice(2);
const log = await (kind === 'kafka' ? openKafkaLog({ brokers: [address] }) : openEmbeddedLog(address));
const transactions = await log.transactions(id, group);
const [position] = await log.committed(group, topic);
for (let offset = position?.offset ?? 0; ; offset += 1) {
  await transactions.commit(madeOf(topic, offset, outputs));
  process.stdout.write(`${offset}\n`);
}
