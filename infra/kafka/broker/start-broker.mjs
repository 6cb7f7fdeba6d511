import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SetupError } from '../../setup/failure.mjs';
import { run } from '../../setup/process.mjs';
import { freePorts } from './free-ports.mjs';
import { JavaProcess } from './java-process.mjs';
import { kafkaClassPath } from './libraries.mjs';
import { formatCommand, secureProperties } from './secure-listener.mjs';
import { serverProperties } from './server-properties.mjs';

/** @import { Broker, BrokerOptions } from './broker.mjs' */

const READY = 'Kafka Server started';
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;

/**
 * Starts a real Kafka broker on this machine: one node, loopback only, ready within seconds. It dies with the process that
 * started it, however that ends. Rejects with a `SetupError` when Java or Maven is missing, or when it does not come up.
 *
 * @param {BrokerOptions} [options]
 * @returns {Promise<Broker>}
 */
export async function startBroker({ dataDir, port, quickRejoin = false, secure } = {}) {
  const java = await findJava();
  const classPath = await kafkaClassPath();
  const isOurs = dataDir === undefined;
  const folder = isOurs ? await mkdtemp(join(tmpdir(), 'millrace-kafka-')) : resolve(dataDir);
  const [freePort, controllerPort, securePort] = await freePorts();
  const chosen = port ?? freePort;
  const config = join(folder, 'server.properties');
  const data = join(folder, 'data');
  await mkdir(data, { recursive: true });
  const settings = { port: chosen, controllerPort, dataDir: data, quickRejoin };
  await writeFile(
    config,
    serverProperties({ ...settings, secure: secure ? secureProperties(secure, securePort) : null }),
  );
  if (!existsSync(join(data, 'meta.properties'))) {
    if (secure) await runFormat([java, ...flags, '-cp', classPath, ...formatCommand(secure, config, kafkaUuid())]);
    else await format(data);
  }

  const start = async () => {
    const server = new JavaProcess([java, ...flags, '-cp', classPath, 'kafka.Kafka', config]);
    try {
      await server.line(READY, READY_WITHIN_MS);
    } catch (error) {
      server.kill('SIGKILL');
      throw new SetupError(
        `Kafka did not start on port ${chosen}: ${error instanceof Error ? error.message : String(error)}`,
        port === undefined ? 'run the same command again' : 'choose another --port, or stop what uses this one',
      );
    }
    return server;
  };

  let server = await start();
  return {
    brokers: `127.0.0.1:${chosen}`,
    secureBrokers: secure ? `localhost:${securePort}` : '',
    classPath,
    exited: () => server.exited,
    async stop() {
      server.kill('SIGTERM');
      const timer = setTimeout(() => server.kill('SIGKILL'), STOP_WITHIN_MS);
      await server.exited;
      clearTimeout(timer);
      if (isOurs) await rm(folder, { recursive: true, force: true });
    },
    async kill() {
      server.kill('SIGKILL');
      await server.exited;
    },
    async restart() {
      server.kill('SIGKILL');
      await server.exited;
      server = await start();
    },
  };
}

/** Small heap, one collector thread, and no second compilation: a broker for tests lives for seconds. */
const flags = [
  '-Xmx512m',
  '-Xms32m',
  '-Xss512k',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
];

async function findJava() {
  const home = process.env['JAVA_HOME'];
  const java = home && existsSync(join(home, 'bin/java')) ? join(home, 'bin/java') : 'java';
  if ((await run([java, '-version'])).ok) return java;
  throw new SetupError(
    'Java 17 or later, which Kafka runs on, is missing',
    'apt-get install default-jre-headless maven',
  );
}

/**
 * What Kafka's own format tool writes for one node, without the second that it takes.
 *
 * @param {string} dataDir
 */
async function format(dataDir) {
  const path = join(dataDir, 'meta.properties');
  const [cluster, directory] = [kafkaUuid(), kafkaUuid()];
  await writeFile(path, `version=1\ncluster.id=${cluster}\nnode.id=1\ndirectory.id=${directory}\n`);
}

/** @param {readonly string[]} command */
async function runFormat(command) {
  const { ok, output } = await run(command);
  if (!ok) throw new SetupError(`Kafka could not format its data folder:\n${output}`, 'run the same command again');
}

/** 16 bytes in URL-safe base64; Kafka wants none that begins with a dash. */
function kafkaUuid() {
  const bytes = randomBytes(16);
  bytes[0] = 0x11;
  return bytes.toString('base64url');
}
