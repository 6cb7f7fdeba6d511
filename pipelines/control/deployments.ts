import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../operators/errors.ts';
import type { Json } from '../../operators/types.ts';
import type { Deployed, Deployer, DeployRequest } from '../redeploy/deployer.ts';
import { graphVersion, graphVersions, versionBefore } from '../redeploy/graph-history.ts';
import { DEPLOYMENTS_TOPIC } from '../spec/lint-topics.ts';
import { requestRecord } from './deployment-record.ts';
import type { DeploymentRecord } from './deployment-record.ts';
import type { DeploymentTopic } from './deployment-topic.ts';

/** A request to go back, to a version or to the one before. */
export interface RollbackRequest extends Omit<DeployRequest, 'graph' | 'how'> {
  readonly version: number | null;
}

/** What came of a request. */
export interface Attempt {
  /** Null where it has failed, or was refused. */
  readonly deployed: Deployed | null;
  readonly error: unknown;
  /** What is still to be told, where the history has nothing of it. */
  readonly record: DeploymentRecord | null;
}

type Tell = (progress: Json) => void;

const silently: Tell = () => {};

/** Deploys graphs for whoever asks, by whichever way, and sees to it that topic `deployments` is told. */
export class Deployments {
  readonly #deployer: Deployer;
  readonly #topic: DeploymentTopic;
  readonly #onWarning: (message: string) => void;

  constructor(deployer: Deployer, topic: DeploymentTopic, onWarning: (message: string) => void) {
    this.#deployer = deployer;
    this.#topic = topic;
    this.#onWarning = onWarning;
  }

  /** Resolves when the graph is live; rejects as `Deployer.deploy` does. */
  async deploy(request: DeployRequest, tell: Tell = silently): Promise<Deployed> {
    return this.#settled(await this.attempt(request, tell));
  }

  /** The same with a graph that the job has had. Rejects with `bad-usage` where it has not. */
  async rollback(request: RollbackRequest): Promise<Deployed> {
    return this.#settled(await this.attemptRollback(request));
  }

  /** Never rejects for what may become of a deployment. What the history has of it is told when this resolves. */
  async attempt(asked: DeployRequest, tell: Tell = silently): Promise<Attempt> {
    const request = asked.request ?? randomUUID();
    const { how, by = null } = asked;
    const { folder } = this.#deployer.job;
    const about = (outcome: DeploymentRecord['outcome'], more: Partial<DeploymentRecord>): DeploymentRecord =>
      requestRecord(folder.id, request, { how, by, outcome, ...more });
    try {
      const deployed = await this.#deployer.deploy({ ...asked, request }, tell);
      if (deployed.outcome === 'nothing') {
        return { deployed, error: null, record: about('nothing', { version: deployed.version }) };
      }
      await this.tellHistory();
      // The version that was gone back to was told before anybody knew whose wish that was.
      const wished = how === 'rollback' && deployed.outcome === 'rolled-back';
      return { deployed, error: null, record: wished ? about('rolled-back', { version: deployed.version }) : null };
    } catch (error) {
      await this.tellHistory();
      const known = (await graphVersions(folder)).some((version) => version.request === request);
      return { deployed: null, error, record: known ? null : about('refused', reasonOf(error)) };
    }
  }

  async attemptRollback({ version, ...request }: RollbackRequest): Promise<Attempt> {
    const { folder } = this.#deployer.job;
    const name = request.request ?? randomUUID();
    try {
      const wanted = version === null ? await versionBefore(folder) : await graphVersion(folder, version);
      return await this.attempt({ ...request, request: name, graph: wanted.graph, how: 'rollback' });
    } catch (error) {
      const about = { how: 'rollback', outcome: 'refused', by: request.by ?? null, ...reasonOf(error) } as const;
      return { deployed: null, error, record: requestRecord(folder.id, name, about) };
    }
  }

  async #settled({ deployed, error, record }: Attempt): Promise<Deployed> {
    if (record) await this.#tell(record);
    if (deployed) return deployed;
    throw error;
  }

  async #tell(record: DeploymentRecord): Promise<void> {
    const { log } = this.#deployer.job;
    const told = this.#topic.ready().then(async () => {
      await log.produce(DEPLOYMENTS_TOPIC, [await this.#topic.encoded(record)]);
    });
    await told.catch((error: unknown) => this.#onWarning(`Topic deployments lacks a record: ${String(error)}`));
  }

  /** What was done is done; a topic that can't be told now is told at the next start. */
  async tellHistory(): Promise<void> {
    await this.#topic
      .catchUp()
      .catch((error: unknown) => this.#onWarning(`Topic deployments lacks a record for now: ${String(error)}`));
  }
}

/** What went wrong, as a record has it. */
export function reasonOf(error: unknown): Pick<DeploymentRecord, 'code' | 'note'> {
  const note = error instanceof Error ? error.message.trim() : String(error);
  return { note, code: error instanceof MillraceError ? error.code : null };
}
