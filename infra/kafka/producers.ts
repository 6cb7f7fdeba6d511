import type { Kafka, Message, Producer } from 'kafkajs';

/** A transaction whose process has died, or was paused, is aborted after so long; until then it holds back who reads. */
export const TRANSACTION_TIMEOUT_MS = 10_000;

/** A producer whose retries make no duplicates and change no order. */
export function connectIdempotent(kafka: Kafka): Promise<Producer> {
  return connected(kafka.producer({ createPartitioner, idempotent: true }));
}

/** A producer of transactions; no two of the same id at once. */
export function connectTransactional(kafka: Kafka, transactionalId: string): Promise<Producer> {
  return connected(
    kafka.producer({
      createPartitioner,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionalId,
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
    }),
  );
}

export async function disconnect(producer: Promise<Producer> | null): Promise<void> {
  await producer?.then((each) => each.disconnect()).catch(() => undefined);
}

/** Every record comes with its partition. */
function createPartitioner() {
  return ({ message }: { readonly message: Message }): number => message.partition ?? 0;
}

async function connected(producer: Producer): Promise<Producer> {
  try {
    await producer.connect();
    return producer;
  } catch (error) {
    // Some of its connections may stand.
    await producer.disconnect().catch(() => undefined);
    throw error;
  }
}
