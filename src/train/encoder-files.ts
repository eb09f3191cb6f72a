import { fingerprintBytes } from '../domain/fingerprints.js';
import { markdownTable } from '../domain/markdown-table.js';
import { encoderManifestSchema, sha256Of, type EncoderManifest } from '../encoder/manifest.js';
import { proofOfModel } from '../encoder/proof-of-model.js';
import { resizeTo, type Fit, type Kernel } from '../image/geometry.js';
import type { Figures } from './loop.js';

export interface EncoderFilesOptions {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** Names of datasets. */
  readonly trainedOn: readonly string[];
  /** Of the images of `datasets`, which are among them, packed. */
  readonly trainedImages: { readonly fingerprints: Uint8Array; readonly datasets: readonly string[] };
  readonly model: Uint8Array;
  readonly input: {
    readonly size: number;
    readonly fit: Fit;
    readonly kernel: Kernel;
  };
  readonly dimension: number;
  readonly metrics: Figures;
  /** The YAML that it was trained by, and what `hashConfig` makes of it. */
  readonly config: { readonly text: string; readonly hash: string };
  /** Lines for people, of the model card. */
  readonly architecture: string;
  readonly images: string;
  /** What the names of the figures mean. */
  readonly figures: string;
  /** Of every epoch. */
  readonly history: readonly Figures[];
}

/** The files of `models/NAME`: the encoder and its manifest, a model card, the config and the figures of every epoch. */
export async function encoderFiles(
  options: EncoderFilesOptions,
): Promise<Readonly<Record<string, Uint8Array | string>>> {
  const { name, version, licence, trainedOn, model, input, dimension, metrics, config, history } = options;
  const { fingerprints, datasets } = options.trainedImages;
  const size = { width: input.size, height: input.size };
  const sha256 = sha256Of([fingerprints]);
  // Named after what it holds: replacing an encoder, the manifest of either finds its own.
  const imagesFile = `trained-images-${sha256.slice(0, 8)}.bin`;
  const bare: EncoderManifest = encoderManifestSchema.parse({
    name,
    version,
    format: 'onnx',
    file: 'encoder.onnx',
    sha256: sha256Of([model]),
    input: { name: 'pixels', ...size, geometry: resizeTo({ ...size, fit: input.fit, kernel: input.kernel }) },
    output: { name: 'embeddings', dimension },
    trainedOn: [...trainedOn],
    trainedImages: {
      file: imagesFile,
      sha256,
      count: fingerprints.length / fingerprintBytes,
      datasets: [...datasets],
    },
    metrics,
    licence,
    configHash: config.hash,
  } satisfies EncoderManifest);
  const manifest = { ...bare, proof: await proofOfModel(bare, model) };
  return {
    'encoder.onnx': model,
    [imagesFile]: fingerprints,
    'encoder.json': `${JSON.stringify(manifest, null, 2)}\n`,
    'README.md': modelCard(options, imagesFile),
    'config.yml': config.text,
    'history.jsonl': history.map((figures) => `${JSON.stringify(figures)}\n`).join(''),
  };
}

function modelCard(options: EncoderFilesOptions, imagesFile: string): string {
  const {
    name,
    version,
    licence,
    trainedOn,
    architecture,
    images,
    metrics,
    config,
    input,
    dimension,
    history,
  } = options;
  const rows = Object.entries(metrics).map(([figure, value]) => [figure, figureText(value)]);
  return `# ${name} ${version}

An image encoder trained by nearvote with supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362). It turns a
${input.size} x ${input.size} RGB image into a point of ${dimension} dimensions; the nearest labelled images decide what
it shows. It names nothing by itself.

- architecture: ${architecture}
- trained on: ${trainedOn.join(', ')}; ${images}
- known again by ${imagesFile}: six bytes of the sha256 of each, from which no image can be made, but by which whoever has an
  image can tell whether it was among them
- licence: ${licence}
- config: config.yml, sha256 of its content ${config.hash}; every epoch's figures: history.jsonl

${markdownTable(['figure', 'value'], rows)}

${options.figures} What the images it was trained on do not show, it has not learned to tell apart: evaluate it on your
own.

## While it was trained

${curve(history)}
`;
}

const mostRows = 20;

/** Loss and validation, at the epochs that were validated, or at all where none was; no more rows than can be read. */
function curve(history: readonly Figures[]): string {
  const validated = history.filter((figures) => 'precision@1' in figures);
  const epochs = validated.length > 0 ? validated : history;
  const every = Math.ceil(epochs.length / mostRows);
  const shown = epochs.filter((_, i) => (epochs.length - 1 - i) % every === 0);
  const names = ['epoch', 'seconds', 'loss', 'precision@1', 'head: precision@1'].filter((name) =>
    shown.some((figures) => name in figures),
  );
  const cell = (name: string, value: number): string =>
    name === 'seconds' ? value.toFixed(0) : figureText(value);
  return markdownTable(
    names,
    shown.map((figures) => names.map((name) => cell(name, figures[name] ?? NaN))),
  );
}

function figureText(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(4);
}
