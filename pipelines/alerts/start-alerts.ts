import type { JobReports } from '../job/job-reports.ts';
import type { OpenJob } from '../job/open-job.ts';
import { webhookOf } from '../job/webhook-of.ts';
import { AlertTeller } from './alert-teller.ts';

/** Where the graph names a webhook for alerts, it is told of them from now on; else null. */
export async function startAlerts(
  job: OpenJob,
  { deadLetters }: JobReports,
  onWarning: (message: string) => void,
): Promise<AlertTeller | null> {
  const { graph, folder, log, formats } = job;
  const webhook = webhookOf('alerts', graph.alerts?.webhook);
  if (!graph.alerts || !webhook) return null;
  const { topic } = graph.alerts;
  return AlertTeller.start({ jobId: folder.id, log, formats, topic, webhook, deadLetters, onWarning });
}
