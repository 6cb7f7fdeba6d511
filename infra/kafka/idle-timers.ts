import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';

let isMended = false;

/**
 * A connection of kafkajs looks every millisecond whether a throttled request may be sent, for ever, also when there is
 * none; Node 24 warns of the negative time besides. With this it looks only while a request is pending.
 */
export function stopIdleTimers(): void {
  if (isMended) return;
  isMended = true;
  const schedule: unknown = Reflect.get(RequestQueue.prototype, 'scheduleCheckPendingRequests');
  RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0 && typeof schedule === 'function') Reflect.apply(schedule, this, []);
  };
}
