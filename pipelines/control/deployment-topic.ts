import { PUBLISHER, SEQUENCE, lastSequence } from '../../operators/published.ts';
import type { NewRecord } from '../../operators/types.ts';
import type { OpenJob } from '../job/open-job.ts';
import { graphVersions } from '../redeploy/graph-history.ts';
import type { GraphVersion } from '../redeploy/graph-history.ts';
import { DEPLOYMENTS_TOPIC } from '../spec/lint-topics.ts';
import { versionRecord } from './deployment-record.ts';
import type { DeploymentRecord } from './deployment-record.ts';

type TellingJob = Pick<OpenJob, 'folder' | 'formats' | 'log'>;

/**
 * Tells topic `deployments` what became of each deployment in a job's history: once, also where the process died between a
 * deployment and its record. The version is the record's number, as `publish` counts; so the topic itself says what it has.
 */
export class DeploymentTopic {
  /** The job, under the graph that says the topic's format now. */
  readonly #job: () => TellingJob;
  /** The newest version that the topic has; null where that is not known. */
  #told: number | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(job: () => TellingJob) {
    this.#job = job;
  }

  /** Resolves when the topic has all that is over by now; makes it when there is something to tell. */
  catchUp(): Promise<void> {
    const caughtUp = this.#last.then(() => this.#tellMissing());
    this.#last = caughtUp.catch(() => undefined);
    return caughtUp;
  }

  /** Resolves when nothing is being told any more. */
  settled(): Promise<void> {
    return this.#last;
  }

  /** A record of the topic, in its format. */
  async encoded(record: DeploymentRecord): Promise<NewRecord> {
    const { formats } = this.#job();
    return { key: record.id, value: await formats.of(DEPLOYMENTS_TOPIC).write({ ...record }) };
  }

  /** Makes the topic where it is missing. */
  ready(): Promise<void> {
    return this.#job().log.createTopic(DEPLOYMENTS_TOPIC);
  }

  async #tellMissing(): Promise<void> {
    const { folder, log } = this.#job();
    // The graph that a job began with is not deployed.
    const versions = (await graphVersions(folder)).filter(({ how, plan }) => how !== 'up' || plan !== null);
    const publisher = `${folder.id}/${DEPLOYMENTS_TOPIC}`;
    if (versions.length === 0) return;
    await this.ready();
    let told = this.#told ?? (await lastSequence(log, DEPLOYMENTS_TOPIC, publisher, []));
    // What fails may have been done all the same: then the topic is asked again.
    this.#told = null;
    for (const version of versions) {
      if (version.version <= told) continue;
      const record = await this.#recordOf(version);
      if (!record) break;
      const headers = { [SEQUENCE]: String(version.version), [PUBLISHER]: publisher };
      await log.produce(DEPLOYMENTS_TOPIC, [{ ...record, headers }]);
      told = version.version;
    }
    this.#told = told;
  }

  async #recordOf(version: GraphVersion): Promise<NewRecord | null> {
    const record = versionRecord(this.#job().folder.id, version);
    return record && this.encoded(record);
  }
}
