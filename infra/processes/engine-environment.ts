import type { EngineSettings } from '../../model/settings.ts';

/**
 * What a process that trains needs in its environment from the start: the memory settings below, and the number of
 * threads where the engine names one. A variable that the user has set stays as it is.
 */
export function engineEnvironment(
  engine: EngineSettings | undefined,
  own: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const wanted = { ...memory, ...threadsOf(engine) };
  return Object.fromEntries(Object.entries(wanted).filter(([name]) => own[name] === undefined));
}

/**
 * For glibc; nothing elsewhere. Memory that one step gives up is kept for the next, in huge pages where the system lends
 * them. Otherwise every step asks for its memory anew, page by page, and finds its way through many small pages.
 */
const memory = {
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 33),
  MALLOC_TOP_PAD_: String(2 ** 26),
} as const;

function threadsOf(engine: EngineSettings | undefined): Record<string, string> {
  if (engine?.mode !== 'compiled' || engine.threads === undefined) return {};
  const threads = String(engine.threads);
  return { TF_NUM_INTRAOP_THREADS: threads, TF_NUM_INTEROP_THREADS: threads };
}
