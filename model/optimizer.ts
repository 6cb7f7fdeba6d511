import type { Scalar, Tensor } from '@tensorflow/tfjs-node';
import { adamW } from './adamw.ts';
import type { AdamWInputs, AdamWSettings } from './adamw.ts';
import { muon } from './muon.ts';

/** Hidden matrices are moved by Muon, and all else by AdamW at rates of its own. */
export interface MuonShare {
  readonly momentum: number;
  /** Learning rates of what AdamW moves, as shares of the one of hidden matrices. */
  readonly embedding: number;
  readonly head: number;
  readonly gains: number;
}

export interface UpdateSettings extends AdamWSettings {
  /** AdamW moves everything where this is absent. */
  readonly muon?: MuonShare | undefined;
}

/** A parameter, or its next value, and what the optimizer remembers of its gradients. */
export interface ParameterState {
  readonly parameter: Tensor;
  readonly mean: Tensor;
  /** AdamW's only. */
  readonly meanSquare?: Tensor | undefined;
}

/** Whether the optimizer keeps a running mean of the squares of a parameter's gradient: AdamW does, Muon does not. */
export function hasMeanSquare(name: string, { muon: share }: Pick<UpdateSettings, 'muon'>): boolean {
  return share === undefined || !isHiddenMatrix(name);
}

/** One update of the parameter of that name. */
export function update(
  name: string,
  state: ParameterState,
  gradient: Tensor,
  inputs: AdamWInputs,
  settings: UpdateSettings,
): ParameterState {
  const { parameter, mean, meanSquare } = state;
  const { muon: share } = settings;
  if (meanSquare === undefined) {
    const { momentum = 0 } = share ?? {};
    return muon({ parameter, mean }, gradient, inputs.lr, { momentum, weightDecay: settings.weightDecay });
  }
  const rate = share === undefined ? 1 : rateOf(name, share);
  const scaled = rate === 1 ? inputs : { ...inputs, lr: inputs.lr.mul<Scalar>(rate) };
  return adamW({ parameter, mean, meanSquare }, gradient, scaled, settings);
}

/** The matrices within the layers. */
function isHiddenMatrix(name: string): boolean {
  return name.startsWith('model.layers.') && name.endsWith('_proj.weight');
}

function rateOf(name: string, { embedding, head, gains }: MuonShare): number {
  if (name === 'model.embed_tokens.weight') return embedding;
  return name === 'lm_head.weight' ? head : gains;
}
