import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts, serverProperties, startBroker } from '../../infra/kafka/broker/broker.mjs';

/** A real broker; those that a test is to kill are started by `startBroker` itself. */
export interface TestBroker {
  readonly brokers: string;
  stop(): Promise<void>;
}

const IMAGE = 'apache/kafka:4.3.1';
/** Docker's client may wait for ever for a socket that nobody answers at. */
const DOCKER_WITHIN_MS = 2000;
const START_MS = 120_000;

/** For tests whose topics have names that nobody else has: the brokers of `MILLRACE_TEST_KAFKA_BROKERS`, else an empty one. */
export async function someBroker(): Promise<TestBroker> {
  const brokers = process.env['MILLRACE_TEST_KAFKA_BROKERS'];
  return brokers ? { brokers, stop: async () => {} } : emptyBroker();
}

/** In a container where `MILLRACE_TEST_KAFKA=containers` asks for it and Docker has the image, else from Maven's jars. */
export async function emptyBroker(): Promise<TestBroker> {
  const inContainer = process.env['MILLRACE_TEST_KAFKA'] === 'containers' ? await brokerInContainer() : null;
  return inContainer ?? startBroker();
}

/** Null where there is no Docker, or no image to be had. */
async function brokerInContainer(): Promise<TestBroker | null> {
  const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
  const answers = getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
  if (!(await Promise.race([answers, sleep(DOCKER_WITHIN_MS, false, { ref: false })]))) {
    console.log('Docker does not answer: Kafka runs from the jars.');
    return null;
  }
  const [port, controllerPort] = await freePorts();
  const properties = serverProperties({
    port,
    controllerPort,
    dataDir: '/tmp/kafka',
    quickRejoin: false,
    secure: null,
  });
  try {
    const container = await new GenericContainer(IMAGE)
      .withNetworkMode('host')
      .withEnvironment(environmentOf(properties))
      .withWaitStrategy(Wait.forLogMessage('Kafka Server started'))
      .withStartupTimeout(START_MS)
      .start();
    return { brokers: `127.0.0.1:${port}`, stop: async () => void (await container.stop()) };
  } catch (error) {
    console.log(`No container of ${IMAGE} (${String(error)}): Kafka runs from the jars.`);
    return null;
  }
}

/** As the image wants its properties: `log.dirs` as `KAFKA_LOG_DIRS`. */
function environmentOf(properties: string): Record<string, string> {
  const lines = properties.trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...value] = line.split('=');
      return [`KAFKA_${name.toUpperCase().replaceAll('.', '_')}`, value.join('=')];
    }),
  );
}
