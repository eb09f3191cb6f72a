import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { messageOf, NearvoteError } from '../../domain/errors.js';
import { shellWord } from '../../domain/quoted.js';
import type { Progress } from '../../domain/progress.js';
import { describeGeometry, type Geometry, outputSize } from '../../image/geometry.js';
import { decodeModel, type GraphModel } from '../../onnx/model.js';
import { addEncoder } from '../add/add-encoder.js';
import { externalFilesOf } from '../add/external-data.js';
import { checkPlace } from '../add/publish.js';
import { listed } from '../add/signature.js';
import { type EncoderManifest, sha256Of } from '../manifest.js';
import { type Card, isPermissive, readCard } from './card.js';
import { describeConfig, type Described, featuresOf } from './families.js';
import { type ImageSteps, readSteps } from './preprocessing.js';
import { type HubSettings, type ModelName, parseModelName } from './settings.js';
import { openSnapshot, type Snapshot } from './snapshot.js';

/** transformers.js's names, and what its exports put behind a file's name for each. */
const suffixes = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const;

export type Dtype = keyof typeof suffixes;
export const dtypes = Object.keys(suffixes) as readonly Dtype[];

export interface PullOptions {
  /** OWNER/NAME[@REVISION]. */
  readonly model: string;
  readonly dtype: Dtype;
  readonly settings: HubSettings;
  /** Of the encoder; the repository's unless told, with the dtype behind it where that is not fp32. */
  readonly name?: string | undefined;
  /** The folder to write; `models/NAME` unless told. */
  readonly dir?: string | undefined;
  readonly force: boolean;
  /** Instead of what the model card says. */
  readonly licence?: string | undefined;
  readonly progress: Progress;
  /** What whoever pulls should know, before more happens. */
  readonly note: (remark: string) => void;
}

export interface Pulled {
  readonly manifest: EncoderManifest;
  readonly dir: string;
}

/**
 * Takes an encoder from Hugging Face's hub: finds the commit, reads what the files beside the model say of it, downloads
 * it into the cache, wraps it and writes its folder: all of it, or nothing.
 * @throws NearvoteError `hub_unreachable`, `hub_refused`, `usage` for a name or variable that cannot be meant,
 * `encoder_missing` for a file that is not there, and as `addEncoder` does
 */
export async function pullEncoder(options: PullOptions): Promise<Pulled> {
  const { dtype, settings, force, progress, note } = options;
  const model = parseModelName(options.model);
  const name = options.name ?? (dtype === 'fp32' ? model.name : `${model.name}-${dtype}`);
  const dir = options.dir ?? join('models', name);
  await checkPlace(dir, force);
  const snapshot = await openSnapshot({ settings, model, progress, note });
  const { papers, described, steps, file, licence, path, decoded } = await saidOfCache(snapshot, async () => {
    const papers = await readPapers(snapshot);
    const described = describeConfig(papers.config);
    const steps = readSteps({ processor: papers.processor, timm: described.timm });
    const file = chooseFile({ snapshot, described, dtype, model });
    const licence = options.licence ?? (await licenceOf(papers.card, snapshot)) ?? 'unknown';
    sayLicence({ licence, madeFrom: papers.card.madeFrom, model, settings, note });
    return { papers, described, steps, file, licence, ...(await bringModel(snapshot, file)) };
  });
  const features = described.family && featuresOf(described.family, decoded.graph);
  if (features === undefined) {
    const { datasets } = papers.card;
    throw unknownOutputs({ described, decoded, path, steps, name, licence, datasets });
  }
  const manifest = await addEncoder({
    ...features,
    path,
    dir,
    force,
    name,
    version: snapshot.commit.slice(0, 12),
    geometry: steps.geometry,
    preprocessing: { ...steps.values, layout: 'nchw' },
    licence,
    trainedOn: papers.card.datasets,
    source: {
      hub: {
        repository: model.repository,
        commit: snapshot.commit,
        file,
        sha256: sha256Of([await readFile(path)]),
      },
    },
  });
  return { manifest, dir };
}

/** What seems to be missing from a repository may only be missing from the cache. */
async function saidOfCache<T>({ onlyKept }: Snapshot, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (onlyKept === undefined || !(error instanceof NearvoteError)) throw error;
    const said = `${error.message}. Only what the cache holds of the repository was looked at, because ${onlyKept}`;
    throw new NearvoteError(error.code, said, { cause: error });
  }
}

interface Papers {
  readonly config: unknown;
  /** Undefined where there is none. */
  readonly processor: unknown;
  readonly card: Card;
}

const configFile = 'config.json';
const processorFile = 'preprocessor_config.json';
const cardFile = 'README.md';
/** What is read whole as text. */
const mostPaperBytes = 16 * 2 ** 20;

async function readPapers(snapshot: Snapshot): Promise<Papers> {
  const there = [configFile, processorFile, cardFile].filter((path) => snapshot.paths.includes(path));
  const huge = there.find((path) => snapshot.bytesOf(path) > mostPaperBytes);
  if (huge !== undefined || !there.includes(configFile)) {
    const said = huge === undefined ? `a ${configFile}` : `a smaller ${huge}`;
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected ${said} in the repository: without it nothing says what the model is, and nearvote encoder add takes its ONNX file with the options that you know`,
    );
  }
  const places = await snapshot.bring(there);
  const texts = new Map<string, string>();
  for (const [i, path] of there.entries()) texts.set(path, await readFile(places[i] ?? '', 'utf8'));
  const json = (path: string): unknown => {
    const text = texts.get(path);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new NearvoteError('encoder_unsupported', `Expected JSON in ${path} but: ${messageOf(cause)}`, {
        cause,
      });
    }
  };
  return {
    config: json(configFile),
    processor: json(processorFile),
    card: readCard(texts.get(cardFile) ?? ''),
  };
}

async function licenceOf({ licence, madeFrom }: Card, snapshot: Snapshot): Promise<string | undefined> {
  if (licence !== undefined || madeFrom === undefined) return licence;
  // An export of a model is under the model's licence, whether it repeats it or not.
  return snapshot.licenceOf(madeFrom);
}

interface SayLicenceOptions {
  readonly licence: string;
  readonly madeFrom: string | undefined;
  readonly model: ModelName;
  readonly settings: HubSettings;
  readonly note: PullOptions['note'];
}

function sayLicence({ licence, madeFrom, model, settings, note }: SayLicenceOptions): void {
  if (isPermissive(licence)) return;
  const said =
    licence === 'unknown'
      ? `names no licence${madeFrom === undefined ? '' : `, and that of ${madeFrom}, which it was made from, was not found`}`
      : `is under ${licence}, which is not one of the permissive licences`;
  note(`${model.repository} ${said}: read ${settings.endpoint}/${model.repository} before you use it`);
}

interface ChooseFileOptions {
  readonly snapshot: Snapshot;
  readonly described: Described;
  readonly dtype: Dtype;
  readonly model: ModelName;
}

/** @throws NearvoteError `encoder_missing` with what there is instead */
function chooseFile({ snapshot, described, dtype, model }: ChooseFileOptions): string {
  const stem = described.family?.file ?? 'model';
  const wanted = `${stem}${suffixes[dtype]}.onnx`;
  const found = [`onnx/${wanted}`, wanted].find((path) => snapshot.paths.includes(path));
  if (found !== undefined) return found;
  const there = snapshot.paths.filter((path) => path.endsWith('.onnx'));
  const others = dtypes.filter((one) =>
    there.some((path) => posix.basename(path) === `${stem}${suffixes[one]}.onnx`),
  );
  const said =
    there.length === 0
      ? 'it has no ONNX files: look for an export of it, by onnx-community or Xenova'
      : others.length > 0
        ? `it has ${there.join(', ')}: choose --dtype ${others.join(' or ')}`
        : `it has ${there.join(', ')}: download one and give it to nearvote encoder add`;
  throw new NearvoteError('encoder_missing', `Expected onnx/${wanted} in ${model.repository} but ${said}`);
}

/** Protocol buffers end at 2 GiB, and so does what is made of the model. */
const mostModelBytes = 2 ** 31 - 1;

/** The model and the files that its weights lie in, all of them here. */
async function bringModel(snapshot: Snapshot, file: string): Promise<{ path: string; decoded: GraphModel }> {
  checkSize(snapshot, [file]);
  const [path = ''] = await snapshot.bring([file]);
  const decoded = decodeModel(await readFile(path));
  const beside = externalFilesOf(decoded).map((location) => posix.join(posix.dirname(file), location));
  const missing = beside.find((one) => !snapshot.paths.includes(one));
  if (missing !== undefined) {
    throw new NearvoteError(
      'encoder_missing',
      `Expected ${missing}, in which ${file} has weights, but the repository has none`,
    );
  }
  checkSize(snapshot, [file, ...beside]);
  if (beside.length > 0) await snapshot.bring(beside);
  return { path, decoded };
}

function checkSize(snapshot: Snapshot, paths: readonly string[]): void {
  const bytes = paths.reduce((sum, path) => sum + snapshot.bytesOf(path), 0);
  if (bytes <= mostModelBytes) return;
  throw new NearvoteError(
    'encoder_unsupported',
    `Expected a model of less than 2 GiB but ${paths.join(' and ')} have ${bytes} bytes: choose a smaller model, or another --dtype`,
  );
}

interface UnknownOptions {
  readonly described: Described;
  readonly decoded: GraphModel;
  readonly path: string;
  readonly steps: ImageSteps;
  readonly name: string;
  readonly licence: string;
  readonly datasets: readonly string[];
}

/** With the line that adds what is downloaded, complete but for the output, and with it where there is one only. */
function unknownOutputs(options: UnknownOptions): NearvoteError {
  const { described, decoded, path, steps, name, licence, datasets } = options;
  const { channels, scale, mean, std } = steps.values;
  const { width, height } = outputSize(steps.geometry);
  const outputs = decoded.graph.output;
  const [only, ...others] = outputs;
  const output = only === undefined || others.length > 0 ? 'OUTPUT' : shellWord(only.name);
  const words = [
    `npx nearvote encoder add ${shellWord(path)} --size ${width}x${height} ${geometryOptions(steps.geometry)}`,
    `--mean ${mean.join(',')} --std ${std.join(',')} --scale ${scale} --channels ${channels} --layout nchw`,
    `--output ${output} --name ${name} --licence ${shellWord(licence)}`,
    ...(datasets.length > 0 ? [`--trained-on ${shellWord(datasets.join(','))}`] : []),
  ];
  return new NearvoteError(
    'encoder_unsupported',
    `Expected an output that is known to be the embedding but this model (its kind: ${described.kind}) has: ${listed(outputs)}. ` +
      `It is downloaded; add it by the output that is the embedding, with --token cls or --token mean where that is [n,tokens,d]: ${words.join(' ')}`,
  );
}

function geometryOptions(geometry: Geometry): string {
  const { resize, crop, fit, kernel } = geometry;
  if (resize === 'none' || ('width' in resize && crop !== undefined))
    return `(images: ${describeGeometry(geometry)})`;
  return 'width' in resize
    ? `--fit ${fit ?? 'fill'} --kernel ${kernel}`
    : `--resize ${resize.shortestEdge} --kernel ${kernel}`;
}
