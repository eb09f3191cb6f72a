import type { Embeddings } from '../../domain/embeddings.js';
import { NearvoteError } from '../../domain/errors.js';
import type { Progress } from '../../domain/progress.js';
import { encodeModel, type GraphModel } from '../../onnx/model.js';
import type { EncoderManifest } from '../manifest.js';
import { equaliseChannels } from './equalise.js';
import { calibrationMethods, rangeOf, type CalibrationMethod, type Range } from './histogram.js';
import { compareLayers, type LayerDifference } from './layers.js';
import { embedEach, nearnessOf, type Nearness } from './nearness.js';
import { observe, type Images, type Observations } from './observe.js';
import { planOf, type Plan } from './plan.js';
import { besideFloat } from './beside.js';
import { quantiseModel } from './qdq.js';
import { scaleByToken } from './tokens.js';
import type { Processors } from './weights.js';

export interface QuantiseOptions {
  /** Of the float encoder. */
  readonly manifest: EncoderManifest;
  readonly bytes: Uint8Array;
  /** As `simplifyModel` leaves it. */
  readonly model: GraphModel;
  /** What the ranges of values are told from. */
  readonly calibration: Images;
  /** What variants are measured on; none of the others. */
  readonly heldOut: Images;
  readonly threads: number;
  readonly processors: Processors;
  /** Those that are tried. */
  readonly methods?: readonly CalibrationMethod[] | undefined;
  /** Of the work: as much may stay in float where that brings embeddings nearer. */
  readonly floatShare: number;
}

/** One variant that was measured. */
interface Trial extends Nearness {
  readonly what: string;
  /** Whether what came after was built on it. */
  readonly kept: boolean;
}

export interface Quantised extends Nearness {
  readonly bytes: Uint8Array;
  readonly trials: readonly Trial[];
  /** Of the model that was chosen. */
  readonly layers: readonly LayerDifference[];
  /** By name why. */
  readonly leftInFloat: ReadonlyMap<string, string>;
  /** How often each operator is still computed in float. */
  readonly floatOperators: ReadonlyMap<string, number>;
}

/** Images that layers are compared on. */
const mostCompared = 64;
/** Layers that are tried in float at a time, the noisiest. */
const triedInFloat = 3;
const mostInFloat = 3;
/** Of what is missing to a cosine of 1: a layer that takes less away is not worth its time. */
const worthwhile = 0.1;
/** What it costs to make a float of a byte, and a byte of a float, in multiplications of bytes. */
const conversion = 64;

interface Variant {
  readonly what: string;
  readonly model: GraphModel;
  readonly observations: Observations;
  readonly method: CalibrationMethod;
  readonly inFloat: ReadonlySet<string>;
  readonly corrections: ReadonlyMap<string, Float64Array>;
}

interface Measured {
  readonly variant: Variant;
  readonly plan: Plan;
  readonly ranges: ReadonlyMap<string, Range>;
  readonly bytes: Uint8Array;
  readonly nearness: Nearness;
}

/**
 * Quantises a float encoder: tries ways to tell the ranges, then evens out channels, then corrects biases, then leaves the
 * noisiest small layers in float, and keeps of each what brings held-out images nearest to the float embeddings.
 * @throws NearvoteError `encoder_unsupported` where nothing in the model can be computed in int8
 */
export async function chooseQuantisation(options: QuantiseOptions, progress: Progress): Promise<Quantised> {
  const { manifest, model, calibration, heldOut, threads, processors } = options;
  checkPlan(model, planOf(model));
  const trials: { what: string; nearness: Nearness; kept: boolean }[] = [];
  const run = { manifest, threads };

  const watched = async <T>(
    name: string,
    total: number,
    work: (onImages: (count: number) => void) => Promise<T>,
  ) => {
    progress.start({ name, total, unit: 'images' });
    try {
      return await work((count) => progress.advance(count));
    } finally {
      progress.finish();
    }
  };
  const embedAll = (name: string, bytes: Uint8Array): Promise<Embeddings[]> =>
    watched(name, heldOut.length, (onImages) => embedEach(bytes, { ...run, images: heldOut, onImages }));
  const observeAll = (name: string, of: GraphModel): Promise<Observations> =>
    watched(name, calibration.length, (onImages) =>
      observe(of, planOf(of), { ...run, images: calibration, onImages }),
    );
  const compared = calibration.slice(0, mostCompared);
  const compare = ({ variant, plan, ranges }: Measured): Promise<LayerDifference[]> =>
    watched('compare layers', compared.length, (onImages) =>
      compareLayers(besideFloat({ ...variant, plan, ranges, processors }), {
        ...run,
        plan,
        images: compared,
        onImages,
      }),
    );

  const reference = await embedAll('embed in float', options.bytes);
  async function measure(variant: Variant): Promise<Measured> {
    const plan = planOf(variant.model, variant.inFloat);
    const ranges = new Map(
      [...variant.observations].map(
        ([name, { histogram }]) => [name, rangeOf(histogram, variant.method)] as const,
      ),
    );
    const bytes = encodeModel(quantiseModel({ ...variant, plan, ranges, processors }));
    const nearness = nearnessOf(await embedAll(`try ${variant.what}`, bytes), reference);
    trials.push({ what: variant.what, nearness, kept: false });
    return { variant, plan, ranges, bytes, nearness };
  }
  const better = (first: Measured, second: Measured): Measured =>
    second.nearness.meanCosine > first.nearness.meanCosine ? second : first;
  const keep = (chosen: Measured): Measured => {
    const trial = trials.find(({ what }) => what === chosen.variant.what);
    if (trial !== undefined) trial.kept = true;
    return chosen;
  };

  const plain = { inFloat: new Set<string>(), corrections: new Map<string, Float64Array>() };
  async function bestMethod(observations: Observations): Promise<Measured> {
    let best: Measured | undefined;
    for (const method of options.methods ?? calibrationMethods) {
      const tried = await measure({ ...plain, model, observations, method, what: method });
      best = best === undefined ? tried : better(best, tried);
    }
    if (best === undefined) throw new RangeError('Expected at least one method of calibration');
    return best;
  }

  async function equalised(from: Measured): Promise<Measured> {
    const evened = equaliseChannels(from.variant.model, from.variant.observations);
    if (evened === undefined) return from;
    const observed = await observeAll('calibrate equalised', evened);
    const what = `${from.variant.what}, channels equalised`;
    return better(from, await measure({ ...from.variant, what, model: evened, observations: observed }));
  }

  async function byToken(from: Measured): Promise<Measured> {
    const scaled = scaleByToken(from.variant.model);
    if (scaled === undefined) return from;
    const observed = await observeAll('calibrate by token', scaled);
    let best = from;
    for (const method of [...new Set([from.variant.method, 'min-max'] as const)]) {
      const what = `${method}, a scale for each token`;
      best = better(
        best,
        await measure({ ...from.variant, what, method, model: scaled, observations: observed }),
      );
    }
    return best;
  }

  async function corrected(from: Measured, layers: readonly LayerDifference[]): Promise<Measured> {
    const corrections = new Map(
      layers.map(({ name, meanError }) => [name, meanError.map((error) => -error)]),
    );
    return better(
      from,
      await measure({ ...from.variant, what: `${from.variant.what}, biases corrected`, corrections }),
    );
  }

  async function relieved(from: Measured, layers: readonly LayerDifference[]): Promise<Measured> {
    const costOf = ({ multiplications, outputs }: LayerDifference): number =>
      multiplications + conversion * outputs;
    const whole = layers.reduce((sum, layer) => sum + layer.multiplications, 0);
    let left = options.floatShare * whole;
    let best = from;
    for (let count = 0; count < mostInFloat; count++) {
      const { inFloat, ...rest } = best.variant;
      const tried = layers
        .filter((layer) => !inFloat.has(layer.name) && costOf(layer) <= left)
        .sort((a, b) => a.sqnrDb - b.sqnrDb)
        .slice(0, triedInFloat);
      let next = best;
      for (const { name } of tried) {
        const what = `${rest.what}, ${name} in float`;
        next = better(next, await measure({ ...rest, inFloat: new Set([...inFloat, name]), what }));
      }
      if (1 - next.nearness.meanCosine > (1 - worthwhile) * (1 - best.nearness.meanCosine)) break;
      const chosen = layers.find(({ name }) => next.variant.inFloat.has(name) && !inFloat.has(name));
      if (chosen === undefined) break;
      left -= costOf(chosen);
      best = keep(next);
    }
    return best;
  }

  let best = keep(await bestMethod(await observeAll('calibrate', model)));
  best = keep(await byToken(best));
  best = keep(await equalised(best));
  // What a layer alone makes wrong depends on no other layer.
  const layers = await compare(best);
  best = keep(await corrected(best, layers));
  best = await relieved(best, layers);
  const { inFloat } = best.variant;
  return {
    ...best.nearness,
    bytes: best.bytes,
    trials: trials.map(({ what, nearness, kept }) => ({ what, kept, ...nearness })),
    layers: layers.filter(({ name }) => !inFloat.has(name)),
    leftInFloat: best.plan.leftInFloat,
    floatOperators: floatOperatorsOf(best),
  };
}

function checkPlan({ graph }: GraphModel, plan: Plan): void {
  if (plan.weighted.length > 0) return;
  const operators = [...new Set(graph.node.map(({ opType }) => opType))].join(', ');
  throw new NearvoteError(
    'encoder_unsupported',
    `Expected convolutions or products by constants, which int8 computes, but the model has only ${operators}`,
  );
}

/** Operators that neither moved bytes nor are the frame of what int8 computes. */
function floatOperatorsOf({ variant, plan }: Measured): Map<string, number> {
  const inBytes = new Set([
    ...plan.weighted.map(({ node }) => node),
    ...plan.absorbed,
    ...plan.combined.keys(),
    ...plan.moved,
  ]);
  const counts = new Map<string, number>();
  for (const one of variant.model.graph.node) {
    if (inBytes.has(one) || one.opType === 'DequantizeLinear' || one.opType === 'Transpose') continue;
    counts.set(one.opType, (counts.get(one.opType) ?? 0) + 1);
  }
  return counts;
}
