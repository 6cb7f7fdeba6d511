import { z } from 'zod';
import { serveControl } from '../../infra/index.ts';
import type { JobEvent } from '../job/events.ts';
import type { JobReports } from '../job/job-reports.ts';
import { serveHttp } from '../job/serve-http.ts';
import type { HttpPlace, ServedHttp } from '../job/serve-http.ts';
import type { Training } from '../job/training.ts';
import type { Voice } from '../job/voice.ts';
import type { Promotion } from '../promotion/promotion.ts';
import { promotionCommands } from '../promotion/start-promotion.ts';
import { deployRequestSchema } from '../redeploy/deployer.ts';
import type { Deployer } from '../redeploy/deployer.ts';
import { ControlTopic } from './control-topic.ts';
import { DeploymentTopic } from './deployment-topic.ts';
import { Deployments } from './deployments.ts';
import { graphsOverHttp } from './graphs-over-http.ts';
import { CommandHandler } from './handle-command.ts';

export interface DoorsOptions {
  readonly deployer: Deployer;
  readonly training: Training;
  readonly voice: Voice;
  readonly reports: JobReports;
  /** Decides which snapshots speak; null where each does. */
  readonly promotion: Promotion | null;
  /** Where the job may be asked over HTTP; nowhere when absent. */
  readonly http: HttpPlace | undefined;
  readonly onEvent: (event: JobEvent) => void;
  readonly onWarning: (message: string) => void;
}

/** The ways in which others ask a running job for something. */
export interface Doors {
  /** The job has another graph, or the watch over one is at an end. */
  deployed(): void;
  close(): Promise<void>;
}

/**
 * Opens the socket that commands of this machine use, HTTP where that is wanted, and the control topic where the graph names
 * one. Whichever way a graph comes in, what became of it is told in topic `deployments`. Rejects as `serveHttp` does.
 */
export async function openDoors(options: DoorsOptions): Promise<Doors> {
  const { deployer, training, promotion, onEvent, onWarning } = options;
  const job = (): Deployer['job'] => deployer.job;
  const topic = new DeploymentTopic(job);
  const deployments = new Deployments(deployer, topic, onWarning);
  const socket = await serveControl(job().dataDir, {
    savepoint: async () => z.json().parse({ ...(await training.savepoint()) }),
    deploy: async (input, tell) =>
      z.json().parse({ ...(await deployments.deploy(deployRequestSchema.parse(input), tell)) }),
    shadow: (input, tell, signal) => deployer.shadow(input, tell, signal),
    ...(promotion ? promotionCommands(promotion) : {}),
  });
  const http = await openHttp(options, deployments).catch(async (error: unknown) => {
    await socket.close();
    throw error;
  });
  const handler = new CommandHandler({
    job,
    deployments,
    promotion,
    topic,
    savepoint: () => training.savepoint(),
    whenFlowing: () => training.whenFlowing(),
    onDeadLetter: ({ at, code, message }) => onEvent({ event: 'deadletter', ...at, code, message }),
    onWarning,
  });
  const control = new ControlTopic({ job, handle: (record, signal) => handler.handle(record, signal), onWarning });
  // What a process before this one did not come to tell.
  void deployments.tellHistory();
  return {
    deployed() {
      control.follow();
      void deployments.tellHistory();
    },
    async close() {
      await Promise.all([control.close(), http?.close(), socket.close()]);
      await topic.settled();
    },
  };
}

async function openHttp(
  { deployer, voice, reports, http: place }: DoorsOptions,
  deployments: Deployments,
): Promise<ServedHttp | null> {
  if (!place) return null;
  const graphs = graphsOverHttp(() => deployer.job, deployments);
  const http = await serveHttp(deployer.job, voice, { ...place, graphs }, reports.logger);
  reports.served(http);
  return http;
}
