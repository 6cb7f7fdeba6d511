import type { EngineSettings } from '../../model/settings.ts';

/** An engine's settings as people read them. */
export function describeEngine(engine: EngineSettings): string {
  if (engine.mode === 'eager') return 'op by op in f32';
  const { precision, xla, threads } = engine;
  const parts = ['compiled', precision, xla ? 'with XLA' : 'without XLA'];
  if (threads !== undefined) parts.push(threads === 1 ? '1 thread' : `${threads} threads`);
  return parts.join(', ');
}
