export interface BrokerOptions {
  /** Kept, and gone on with by the next broker; a temporary folder when absent. */
  readonly dataDir?: string;
  /** A free one when absent. */
  readonly port?: number;
  /** For tests that kill it: lets it come back within 3 s instead of 11 s. */
  readonly quickRejoin?: boolean;
}

export interface Broker {
  /** `host:port` for clients. */
  readonly brokers: string;
  /** Kafka's jars, for its command-line tools. */
  readonly classPath: string;
  /** Resolves once the broker that runs now has ended. */
  exited(): Promise<void>;
  /** Ends it in order, and removes a temporary folder. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGKILL if it runs, and up again with the same data on the same port. */
  restart(): Promise<void>;
}

export function startBroker(options?: BrokerOptions): Promise<Broker>;

/** Kafka's jars, for its command-line tools, from the cache or through Maven. */
export function kafkaClassPath(): Promise<string>;

/** Two ports of the loopback that nobody listens on. */
export function freePorts(): Promise<[number, number]>;

/** What a single node is told, as lines of `name=value`. */
export function serverProperties(settings: {
  readonly port: number;
  readonly controllerPort: number;
  readonly dataDir: string;
  readonly quickRejoin: boolean;
}): string;
