import { parseArgs } from 'node:util';
import { SetupError } from '../../setup/failure.mjs';
import { startBroker } from './start-broker.mjs';

const usage = `Usage: millrace kafka up [options]

Run a Kafka broker on this machine for development and tests, until Ctrl-C. It listens on 127.0.0.1 only and has no
passwords. Needs Java 17 or later; Maven fetches Kafka (45 MB) into the cache the first time.

Options:
  --data-dir <folder>  keep the topics there (default: a temporary folder, removed at the end)
  --port <n>           port to listen on (default: a free one)
  -h, --help           show this

Example:
  millrace kafka up --port 9092
  millrace up --brokers 127.0.0.1:9092
`;

const BAD_USAGE = 2;

/**
 * The command `millrace kafka`. Resolves with its exit code.
 *
 * @param {readonly string[]} argv
 */
export async function main(argv) {
  const options = parse(argv);
  if (typeof options === 'string') {
    console.error(`error: ${options}\n(add --help for what can be said here)`);
    return BAD_USAGE;
  }
  if (options.help) {
    console.log(usage);
    return 0;
  }
  try {
    return await up(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`millrace: ${error.message}\nTo mend it: ${error.mend}`);
    return 1;
  }
}

/** @param {import('./broker.mjs').BrokerOptions} options */
async function up(options) {
  const interrupted = new Promise((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve);
  });
  const broker = await startBroker(options);
  console.log(broker.brokers);
  console.error('A Kafka broker runs there; Ctrl-C ends it.');
  const ended = await Promise.race([interrupted, broker.exited().then(() => 'ended')]);
  await broker.stop();
  if (ended !== 'ended') return 0;
  console.error('millrace: the broker has ended by itself');
  return 1;
}

/**
 * @param {readonly string[]} argv
 * @returns {{ help: boolean, dataDir?: string, port?: number } | string} a string says what is wrong
 */
function parse(argv) {
  let parsed;
  try {
    const options = /** @type {const} */ ({
      'data-dir': { type: 'string' },
      port: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    });
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { positionals, values } = parsed;
  if (values.help) return { help: true };
  if (positionals.length !== 1 || positionals[0] !== 'up') return 'the one command here is millrace kafka up';
  const { 'data-dir': dataDir, port } = values;
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    return `--port ${port}: it must be a whole number from 1 to 65535`;
  }
  return {
    help: false,
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}
