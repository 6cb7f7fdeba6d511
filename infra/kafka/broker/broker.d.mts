/** A listener over TLS beside the plain one; for tests. */
export interface SecureListener {
  /** File in PEM: the private key (PKCS #8) and the certificate, which must be for localhost. */
  readonly certificate: string;
  /** Passwords by name, for PLAIN and SCRAM; any unsigned token is good for OAUTHBEARER. */
  readonly users?: Readonly<Record<string, string>>;
  /** File in PEM. Clients must then show a certificate of this authority, and there is no SASL. */
  readonly clientAuthority?: string;
}

export interface BrokerOptions {
  /** Kept, and gone on with by the next broker; a temporary folder when absent. */
  readonly dataDir?: string;
  /** A free one when absent. */
  readonly port?: number;
  /** For tests that kill it: lets it come back within 3 s instead of 11 s. */
  readonly quickRejoin?: boolean;
  readonly secure?: SecureListener;
}

export interface Broker {
  /** `host:port` for clients. */
  readonly brokers: string;
  /** `localhost:port` of the secure listener; empty where there is none. */
  readonly secureBrokers: string;
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

/** Three ports of the loopback that nobody listens on. */
export function freePorts(): Promise<[number, number, number]>;

/** What a single node is told, as lines of `name=value`. */
export function serverProperties(settings: {
  readonly port: number;
  readonly controllerPort: number;
  readonly dataDir: string;
  readonly quickRejoin: boolean;
  readonly secure: null;
}): string;
