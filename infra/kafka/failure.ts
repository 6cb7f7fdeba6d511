import { MillraceError } from '../../operators/errors.ts';

/** What a call was about, for the message. */
export interface Concern {
  readonly brokers: readonly string[];
  readonly topic?: string;
  /** How long it was tried. */
  readonly waitedMs?: number;
}

const NO_COORDINATOR = 'KafkaJSGroupCoordinatorNotFound';

const UNREACHABLE = new Set([
  NO_COORDINATOR,
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
]);

/** Turns what kafkajs rejects with into an error of ours. Errors of our own pass unchanged. */
export function kafkaFailure(error: unknown, { brokers, topic = '', waitedMs = 0 }: Concern): MillraceError {
  const root = rootOf(error);
  if (root instanceof MillraceError) return root;
  const reason = root instanceof Error ? root.message : String(root);
  const options = { cause: error };
  const type = typeOf(root);
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return topicMissing(topic, options);
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
    return new MillraceError(
      'record-too-large',
      `A record does not fit into topic ${topic}: ${reason} Split the text, or raise the topic's max.message.bytes.`,
      options,
    );
  }
  if (type === 'INCONSISTENT_GROUP_PROTOCOL') {
    return new MillraceError(
      'bad-usage',
      'The group has consumers that are no jobs of Millrace, which do not hand over at cuts. Use another name for the group.',
      options,
    );
  }
  if (type === 'INVALID_SESSION_TIMEOUT') {
    return new MillraceError(
      'bad-usage',
      'The brokers do not allow such a session timeout (by default 6 s to 30 min: group.min.session.timeout.ms and ' +
        'group.max.session.timeout.ms). Change sessionTimeout under kafka in the graph.',
      options,
    );
  }
  if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') {
    return new MillraceError(
      'bad-usage',
      'The group has consumers of its own, so its offsets are not ours to commit. Use another name for the group.',
      options,
    );
  }
  if (root instanceof Error && root.name === 'KafkaJSSASLAuthenticationError') {
    return new MillraceError(
      'broker-refused',
      `Kafka at ${brokers.join(', ')} does not take our credentials: ${sentence(reason)} Check kafka.sasl (or ` +
        'MILLRACE_KAFKA_SASL_MECHANISM, …_USERNAME and …_PASSWORD).',
      options,
    );
  }
  if (isUntrusted(root)) {
    return new MillraceError(
      'broker-refused',
      `No TLS with Kafka at ${brokers.join(', ')}: ${sentence(reason)} Check kafka.tls: the authority that is trusted (ca), the ` +
        'name that the certificate is for (serverName), and that brokers speak TLS at this port.',
      options,
    );
  }
  if (root instanceof Error && (UNREACHABLE.has(root.name) || type === 'ILLEGAL_SASL_STATE')) {
    return new MillraceError(
      'broker-unreachable',
      `No Kafka broker answers at ${brokers.join(', ')}${forSeconds(waitedMs)}: ${sentence(reason)} Check the address ` +
        `(--brokers) and that the broker runs${isHungUp(root) ? ', and whether it wants TLS or credentials (kafka.tls, kafka.sasl)' : ''}; ` +
        'for a broker on this machine: npx millrace kafka up',
      options,
    );
  }
  return new MillraceError(
    'log-failed',
    `Kafka at ${brokers.join(', ')} refused${topic ? ` what was asked of topic ${topic}` : ''}: ${reason}`,
    options,
  );
}

export function topicMissing(topic: string, options?: ErrorOptions): MillraceError {
  return new MillraceError('topic-missing', `There is no topic ${topic}. Create it, or check the spelling.`, options);
}

/** Whether the same call may go well a little later. A topic that is not there is not waited for. */
export function isPassing(error: unknown): boolean {
  const root = rootOf(error);
  if (!(root instanceof Error) || typeOf(root) === 'UNKNOWN_TOPIC_OR_PARTITION' || isUntrusted(root)) return false;
  // Of the endpoint that gives tokens.
  if (root instanceof MillraceError) return root.code === 'broker-unreachable';
  // kafkajs says so of a coordinator that is only just starting, or whose broker has gone this moment.
  if (root.name === NO_COORDINATOR) return true;
  // kafkajs goes on with a connection on which authentication was broken off, and then knows better.
  if (typeOf(root) === 'ILLEGAL_SASL_STATE') return true;
  return 'retriable' in root && root.retriable === true;
}

/** What happens to who does not speak as a broker wants it. */
function isHungUp(root: Error): boolean {
  const isReset = 'code' in root && root.code === 'ECONNRESET';
  return isReset || root.name === 'KafkaJSConnectionClosedError' || root.name === 'KafkaJSRequestTimeoutError';
}

/** OpenSSL's and Node's names for certificates that are not believed, and for what is no TLS at all. */
const UNTRUSTED = /^(ERR_TLS_|ERR_SSL_|EPROTO|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/;

function isUntrusted(root: unknown): boolean {
  return root instanceof Error && 'code' in root && typeof root.code === 'string' && UNTRUSTED.test(root.code);
}

/** Kafka's own name of an error, such as `UNKNOWN_TOPIC_OR_PARTITION`. */
export function typeOf(error: unknown): string | null {
  const root = rootOf(error);
  return root instanceof Error && 'type' in root && typeof root.type === 'string' ? root.type : null;
}

/** Names that kafkajs gives to errors in which it wraps another, however little they then say of it. */
const WRAPPERS = new Set(['KafkaJSNumberOfRetriesExceeded', 'KafkaJSNonRetriableError']);

/** The error behind those that kafkajs wraps around it, and behind the lists that the admin client rejects with. */
export function rootOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (WRAPPERS.has(error.name) && error.cause) return rootOf(error.cause);
  if ('errors' in error && Array.isArray(error.errors) && error.errors.length > 0) return rootOf(error.errors[0]);
  return error;
}

/** Nothing, where it was hardly tried. */
function forSeconds(ms: number): string {
  return ms < 10_000 ? '' : `, tried for ${Math.round(ms / 1000)} s`;
}

function sentence(reason: string): string {
  return /[.!?]$/.test(reason) ? reason : `${reason}.`;
}
