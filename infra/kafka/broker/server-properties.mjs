/** @typedef {ReturnType<typeof import('./secure-listener.mjs').secureProperties>} Secure */

/**
 * A single node that is broker and controller, sized for a developer's machine and for tests.
 *
 * @param {{ port: number, controllerPort: number, dataDir: string, quickRejoin: boolean, secure: Secure | null }} settings `quickRejoin` lets a
 *   broker that was killed be taken for dead after 2 s instead of 9 s, so that it may come back sooner
 */
export function serverProperties({ port, controllerPort, dataDir, quickRejoin, secure }) {
  /** @type {Record<string, string | number | boolean>} */
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: [`PLAINTEXT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`, secure?.address]
      .filter(Boolean)
      .join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${port}`, secure?.advertised].filter(Boolean).join(','),
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataDir,
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    // One node can hold one copy.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    // The defaults are for machines that do nothing else.
    'log.cleaner.dedupe.buffer.size': 4 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'num.recovery.threads.per.data.dir': 1,
    ...secure?.properties,
    ...(quickRejoin ? { 'broker.session.timeout.ms': 2000, 'broker.heartbeat.interval.ms': 500 } : {}),
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
