export { ModelError } from './errors.ts';
export type { ModelErrorCode } from './errors.ts';
export type { StepInput, StepResult, Tokenizer } from './types.ts';

export { countParameters, modelConfigSchema, parameterShapes, parseModelConfig } from './config.ts';
export type { ModelConfig } from './config.ts';
export { presets } from './presets.ts';
export type { Preset, PresetName } from './presets.ts';
export { engineSchema, optimizerSchema, parseTrainerSettings, trainerSettingsSchema } from './settings.ts';
export type { EngineSettings, OptimizerSettings, TrainerSettings } from './settings.ts';
export { rateFraction, scheduleSchema } from './schedule.ts';
export type { ScheduleSettings } from './schedule.ts';

export { growModel, growthBetween } from './growth.ts';
export type { Growth } from './growth.ts';
export { respellingOf } from './tokenizer/respelling.ts';
export type { OldTokens, Respelling } from './tokenizer/respelling.ts';

export { createTrainer } from './trainer.ts';
export type { ModelTrainer, StoredSnapshot, TrainerSnapshot, TrainerState } from './trainer.ts';
export { tf } from './tf.ts';
export { compile, compileProgram, traceable } from './compile/index.ts';
export type {
  Compiled,
  CompileSpec,
  FunctionSpec,
  OptimizeOptions,
  Program,
  ProgramSpec,
  TensorSpec,
  Traced,
} from './compile/index.ts';
export { createSampler } from './sampler.ts';
export type { ModelSampler, SamplerDelta, SamplerRequest } from './sampler.ts';

export { readWeights, writeWeights } from './weights/weights-file.ts';
export type { WeightsFileContent } from './weights/weights-file.ts';

export { readSafetensors, writeSafetensors } from './weights/safetensors.ts';
export type { SafetensorsFile, TensorData } from './weights/safetensors.ts';
export { createTokenizer, loadTokenizer } from './tokenizer/tokenizer.ts';
export {
  byteTokenizerFile,
  readTokenizerFile,
  trainTokenizer,
  writeTokenizerFile,
} from './tokenizer/tokenizer-file.ts';
export type { TokenizerFile } from './tokenizer/tokenizer-file.ts';
