import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface KafkaTool {
  readonly classPath: string;
  readonly brokers: string;
  /** Properties that it finds its way to the brokers with. */
  readonly config?: string;
}

/** A JVM that lives for a second needs no more. */
const FLAGS = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'];

/** Kafka's own producer: each line of the input is a record. */
export async function consoleProduce(
  kafka: KafkaTool,
  topic: string,
  input: string,
  more: string[] = [],
): Promise<void> {
  const config = kafka.config === undefined ? [] : ['--command-config', kafka.config];
  await run(kafka, 'org.apache.kafka.tools.ConsoleProducer', ['--topic', topic, ...config, ...more], input);
}

/** Kafka's own consumer: the committed records of a topic, so many of them, a line each. */
export async function consoleConsume(
  kafka: KafkaTool,
  topic: string,
  records: number,
  more: string[] = [],
): Promise<string[]> {
  const config = kafka.config === undefined ? [] : ['--command-config', kafka.config];
  const until = ['--from-beginning', '--max-messages', String(records), '--timeout-ms', '20000'];
  const args = ['--topic', topic, '--isolation-level', 'read_committed', ...until, ...config, ...more];
  const output = await run(kafka, 'org.apache.kafka.tools.consumer.ConsoleConsumer', args, '');
  return output.trimEnd().split('\n');
}

/** What Kafka's own tool says of a group: its members' partitions, offsets and lags. */
export function describeGroup(kafka: KafkaTool, group: string): Promise<string> {
  const main = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand';
  return run(kafka, main, ['--describe', '--group', group], '');
}

async function run({ classPath, brokers }: KafkaTool, main: string, options: string[], input: string): Promise<string> {
  const args = [...FLAGS, '-cp', classPath, main, '--bootstrap-server', brokers, ...options];
  const child = spawn('java', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  if (child.exitCode === 0) return output;
  throw new Error(`${main} ended with ${child.exitCode}: ${errors}`);
}
