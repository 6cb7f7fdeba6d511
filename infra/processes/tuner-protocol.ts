import type { EngineTimes } from '../../model/measure-engine.ts';
import type { EngineSettings, TrainerSettings } from '../../model/settings.ts';

export interface MeasureRequest {
  readonly settings: TrainerSettings;
  readonly engine: EngineSettings;
  /** Of a batch. */
  readonly shape: { readonly rows: number; readonly context: number };
}

/** What a tuner process is asked for. */
export type TunerMethods = {
  readonly measure: (request: MeasureRequest) => Promise<EngineTimes>;
};
