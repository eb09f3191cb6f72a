import { NearvoteError } from '../domain/errors.js';
import { markdownTable } from '../domain/markdown-table.js';
import type { Progress } from '../domain/progress.js';
import { checkPlace, publishFolder } from '../encoder/add/publish.js';
import { readEncoderManifest, readOnnxModel } from '../encoder/load.js';
import { readEncoderFile, sha256Of, type EncoderManifest } from '../encoder/manifest.js';
import { proofOfModel } from '../encoder/proof-of-model.js';
import { chooseQuantisation, type Quantised } from '../encoder/quantise/choose.js';
import type { CalibrationMethod } from '../encoder/quantise/histogram.js';
import type { Processors } from '../encoder/quantise/weights.js';
import { simplifyModel } from '../encoder/quantise/simplify.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { limitImages } from '../image/dataset/sample.js';
import { createDecoder, type DecodeLimits } from '../image/decode.js';

export interface QuantiseEncoderOptions extends DecodeLimits {
  /** Folder of the float encoder. */
  readonly encoder: string;
  /** Images like those that it will see; their labels do not matter. */
  readonly data: string;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  readonly maxImageBytes: number;
  /** Folder to write. */
  readonly out: string;
  readonly name: string;
  readonly force: boolean;
  /** Images that ranges are told from, and half as many again that variants are measured on. */
  readonly images: number;
  readonly seed: number;
  readonly threads: number;
  readonly methods?: readonly CalibrationMethod[] | undefined;
  readonly processors: Processors;
  readonly floatShare: number;
}

export interface QuantiseResult extends Omit<Quantised, 'bytes'> {
  readonly manifest: EncoderManifest;
  readonly parent: EncoderManifest;
  /** Of the model files. */
  readonly bytes: { readonly float: number; readonly int8: number };
  readonly images: { readonly calibration: number; readonly heldOut: number };
  readonly warnings: readonly string[];
}

/** Fewer tell the ranges of values by chance. */
const enoughImages = 512;
const fewestImages = 16;

/**
 * Writes an int8 encoder made from a float one: all of its folder, or nothing. The same encoder, data and options give the
 * same bytes.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, `encoder_unsupported` naming the operator, `dataset_*`,
 * `output_exists`, `output_unwritable`
 */
export async function quantiseEncoder(
  options: QuantiseEncoderOptions,
  progress: Progress,
): Promise<QuantiseResult> {
  const { out, name, force } = options;
  await checkPlace(out, force);
  const parent = await readEncoderManifest(options.encoder);
  if (parent.format !== 'onnx') {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected an ONNX encoder to quantise but ${parent.name} is ${parent.format}`,
    );
  }
  const float = await readOnnxModel(options.encoder, parent);
  const model = await simplifyModel(float);
  const { calibration, heldOut } = await readImages(parent, options, progress);
  const { bytes, ...quantised } = await chooseQuantisation(
    { ...options, manifest: parent, bytes: float, model, calibration, heldOut },
    progress,
  );
  const bare = manifestOf({ parent, name, bytes, quantised });
  const proof = await proofOfModel(bare, bytes, proofBound(quantised));
  const manifest = { ...bare, proof };
  const result = {
    ...quantised,
    parent,
    bytes: { float: float.length, int8: bytes.length },
    images: { calibration: calibration.length, heldOut: heldOut.length },
    warnings: warningsOf({ calibration: calibration.length, quantised }),
  };
  const files = {
    'encoder.onnx': bytes,
    'encoder.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
    'README.md': modelCard({ ...result, manifest }),
    ...(await trainedImagesOf(options.encoder, parent)),
  };
  return { ...result, manifest: { ...manifest, file: await publishFolder({ dir: out, files, force }) } };
}

/**
 * How near to its proof an encoder must come. What ONNX Runtime fuses rounds some values the other way, and through many
 * layers of attention that becomes about as much as quantising loses, on drawn images more than on photos. What a
 * processor computes wrong is far below: cosines of 0.1 to 0.7.
 */
export function proofBound({
  floatOperators,
  meanCosine,
}: Pick<Quantised, 'floatOperators' | 'meanCosine'>): number | undefined {
  if (!floatOperators.has('Softmax')) return undefined;
  return rounded(Math.max(0.95, Math.min(0.999, 1 - 5 * (1 - meanCosine))));
}

/** Both were trained on the same images. */
async function trainedImagesOf(
  dir: string,
  { trainedImages }: EncoderManifest,
): Promise<Record<string, Uint8Array>> {
  if (trainedImages === undefined) return {};
  return { [trainedImages.file]: await readEncoderFile(dir, trainedImages.file) };
}

interface ReadImages {
  readonly calibration: readonly Uint8Array[];
  readonly heldOut: readonly Uint8Array[];
}

/** Every third image is held out. */
async function readImages(
  { input }: EncoderManifest,
  options: QuantiseEncoderOptions,
  progress: Progress,
): Promise<ReadImages> {
  const { data, split, maxImageBytes, images: wanted, seed } = options;
  const dataset = await openDataset(data, { split, maxFileBytes: maxImageBytes });
  const sample = await limitImages(dataset, { maxImages: Math.ceil(wanted * 1.5), seed });
  const decoder = createDecoder({ ...options, geometry: input.geometry });
  const calibration: Uint8Array[] = [];
  const heldOut: Uint8Array[] = [];
  progress.start({ name: 'read images', total: sample.size, unit: 'images' });
  for await (const image of sample.images()) {
    try {
      const pixels = await decoder.decode(await image.read());
      (calibration.length > 2 * heldOut.length + 1 ? heldOut : calibration).push(pixels);
    } catch (error) {
      // As everywhere, what cannot be read is left out.
      if (!(error instanceof NearvoteError) || !error.code.startsWith('image_')) throw error;
    }
    progress.advance(1);
  }
  progress.finish();
  if (calibration.length >= fewestImages) return { calibration, heldOut };
  throw new NearvoteError(
    'dataset_invalid',
    `Expected at least ${(fewestImages * 3) / 2} images to quantise by, better ${(enoughImages * 3) / 2}, but ${data} gave ${calibration.length + heldOut.length}`,
  );
}

interface ManifestParts {
  readonly parent: EncoderManifest;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly quantised: Omit<Quantised, 'bytes'>;
}

function manifestOf({ parent, name, bytes, quantised }: ManifestParts): EncoderManifest {
  const { version, format, input, output, trainedOn, trainedImages, licence } = parent;
  return {
    ...{ version, format, input, output, trainedOn, licence },
    ...(trainedImages === undefined ? {} : { trainedImages }),
    name,
    file: 'encoder.onnx',
    sha256: sha256Of([bytes]),
    // The parent's figures were measured on the parent.
    metrics: {
      'cosine to the float encoder, mean': rounded(quantised.meanCosine),
      'cosine to the float encoder, worst': rounded(quantised.worstCosine),
      'nearest neighbour as by the float encoder': rounded(quantised.neighbourAgreement),
    },
    source: { parent: { name: parent.name, version: parent.version, sha256: parent.sha256 } },
  };
}

function rounded(value: number): number {
  return Number(value.toFixed(5));
}

interface WarningParts {
  readonly calibration: number;
  readonly quantised: Pick<Quantised, 'leftInFloat' | 'floatOperators'>;
}

function warningsOf({ calibration, quantised }: WarningParts): string[] {
  const { leftInFloat } = quantised;
  return [
    ...(calibration >= enoughImages
      ? []
      : [`${calibration} images told the ranges of values; ${enoughImages} are the fewest to rely on`]),
    ...[...leftInFloat].map(([layer, why]) => `${layer} is computed in float: ${why}`),
  ];
}

const asPercent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The variants that were tried, in order. */
export function trialRows({ trials }: Pick<QuantiseResult, 'trials'>): string[][] {
  return trials.map(({ what, meanCosine, worstCosine, neighbourAgreement, kept }) => [
    what,
    meanCosine.toFixed(5),
    worstCosine.toFixed(4),
    asPercent(neighbourAgreement),
    kept ? 'kept' : '',
  ]);
}
export const trialColumns = ['variant', 'mean cosine', 'worst', 'same nearest', ''] as const;

/** The layers of what was written, in order. */
export function layerRows({
  layers,
  leftInFloat,
}: Pick<QuantiseResult, 'layers' | 'leftInFloat'>): string[][] {
  return [
    ...layers.map(({ name, kind, sqnrDb }) => [name, kind, sqnrDb.toFixed(1)]),
    ...[...leftInFloat].map(([name, why]) => [name, 'float', why]),
  ];
}
export const layerColumns = ['layer', 'as', 'signal to noise, dB'] as const;

type CardParts = Omit<QuantiseResult, 'warnings'>;

function modelCard(result: CardParts): string {
  const { manifest, parent, images, bytes } = result;
  return `# ${manifest.name} ${manifest.version}

${parent.name} ${parent.version} quantised to int8 by \`nearvote quantise\`: the model file has ${asPercent(bytes.int8 / bytes.float)} of
its parent's bytes. Ranges were told from ${images.calibration} images; the figures are of ${images.heldOut} others, against the float
encoder. What its parent knows and does not know is as it was.

- parent: ${parent.name} ${parent.version}, sha256 ${parent.sha256}
- licence: ${parent.licence}

${markdownTable(trialColumns, trialRows(result))}

${markdownTable(layerColumns, layerRows(result))}
`;
}
