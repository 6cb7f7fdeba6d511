import type { OffsetRow, Plan } from '../redeploy/plan.ts';
import { table } from './format.ts';

const EFFECTS: Readonly<Record<Plan['effect'], string>> = {
  none: 'Nothing changes.',
  live: 'Told to what runs; nothing is compiled or started anew.',
  cut: 'Told to the trainer at one cut; nothing is compiled or started anew.',
  rebuild: 'Handed over at one cut; training pauses while that cut is saved and read.',
  restart: 'Takes a stopped job: stop it, and start it again with millrace up.',
};

/** A plan as people read it: what becomes of each operator, then what it takes; the last line says the outcome. */
export function planLines(plan: Plan): string {
  const parts = [operatorTable(plan), settingTable(plan), offsetLines(plan)];
  const ending =
    plan.outcome === 'refused' ? refusalLines(plan) : `${[EFFECTS[plan.effect], ...scope(plan)].join('\n')}\n`;
  return [...parts.filter((part) => part !== ''), ending].join('\n');
}

function operatorTable({ operators }: Plan): string {
  const rows = operators.map(({ stream, uid, kind, action, state, reasons, refused }) => {
    const why = refused === null ? reasons.join(', ') : `REFUSED: ${refused}`;
    return [stream, uid, kind, action, state, why];
  });
  return table(['stream', 'uid', 'kind', 'operator', 'state', ''], rows);
}

function settingTable({ settings }: Plan): string {
  if (settings.length === 0) return '';
  const rows = settings.map(({ path, from, to, effect, note, refused }) => {
    const why = refused === null ? (note ?? '') : `REFUSED: ${refused}`;
    return [path, `${from} → ${to}`, effect, why];
  });
  return table(['setting', 'change', 'effect', ''], rows);
}

function offsetLines({ operators }: Plan): string {
  const rows = operators
    .filter(({ action }) => action !== 'kept')
    .flatMap(({ uid, offsets }) => offsets.map((row) => [uid, partitionName(row), String(row.offset)]));
  return rows.length > 0 ? table(['source', 'partition', 'goes on at'], rows) : '';
}

function partitionName({ topic, partition }: OffsetRow): string {
  return partition === null ? `${topic} (all)` : `${topic}/${partition}`;
}

function scope({ rebuilt, warmUp }: Plan): readonly string[] {
  return [
    ...(rebuilt.length > 0 ? [`Built anew: stream ${rebuilt.join(', stream ')}.`] : []),
    ...(warmUp.length > 0 ? [`Compiled first: ${warmUp.join('; ')}.`] : []),
  ];
}

function refusalLines({ refusals }: Plan): string {
  return `Refused:\n${refusals.map((reason) => `  ${reason}\n`).join('')}`;
}
