import type { Webhook } from '../../infra/index.ts';
import { MillraceError } from '../../operators/errors.ts';
import { toMs } from '../../operators/units.ts';
import type { WebhookSpec } from '../spec/webhook.ts';
import { readSecret } from './secrets.ts';

/** The webhook that a part of the graph names; null where it names none. Throws `config-invalid` where there is no secret. */
export function webhookOf(part: string, spec: WebhookSpec | undefined): Webhook | null {
  if (!spec) return null;
  const secret = readSecret(spec.secret, 'MILLRACE_WEBHOOK_SECRET', process.env);
  if (secret) return { url: spec.url, secret, attempts: spec.attempts, backoffMs: toMs(spec.backoff) };
  throw new MillraceError(
    'config-invalid',
    `The webhook of ${part} has no secret to sign with. Set MILLRACE_WEBHOOK_SECRET, or say where it is: secret: { env: NAME } ` +
      'or { file: path }.',
  );
}
