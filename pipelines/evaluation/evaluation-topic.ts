import type { Formats } from '../../operators/formats.ts';
import type { NewRecord } from '../../operators/types.ts';
import type { Evaluation } from './evaluation.ts';

/** Where results go unless somebody names another topic. */
export const EVALUATIONS_TOPIC = 'evaluations';

/** An evaluation as a record in the format of its topic, under the checkpoint's id. */
export async function evaluationRecord(evaluation: Evaluation, formats: Formats, topic: string): Promise<NewRecord> {
  return { key: evaluation.weights.id, value: await formats.of(topic).write({ ...evaluation }) };
}
