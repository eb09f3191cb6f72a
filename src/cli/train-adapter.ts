import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { checkPlace } from '../encoder/add/publish.js';
import { attachAdapter, proveAttached } from '../train/adapter/attach.js';
import { openBackbone, type Backbone } from '../train/adapter/backbone.js';
import { hashConfig, parseAdapterConfig } from '../train/config/read-config.js';
import type { AdapterConfig } from '../train/config/schema.js';
import { encoderFiles } from '../train/encoder-files.js';
import { loadAdapterData, type AdapterData } from './adapter-data.js';
import { createProgress } from './progress.js';
import { publishTrained } from './publish-trained.js';
import { runAdapterTraining, type TrainedAdapter } from './run-adapter-training.js';
import type { TrainFlags } from './train-options.js';
import { writePreview } from './train-preview.js';

interface ConfigText {
  readonly text: string;
  /** Where it came from. */
  readonly file: string;
}

/** `nearvote train` of an adapter. */
export async function trainAdapter({ text, file }: ConfigText, flags: TrainFlags): Promise<void> {
  const written = parseAdapterConfig(text, file);
  const threads = flags.threads ?? written.threads ?? availableParallelism();
  const config = { ...written, budget: flags.budget ?? written.budget, threads };
  const folder = flags.backbone ?? written.backbone;
  if (folder === undefined) {
    throw new NearvoteError(
      'usage',
      `Expected --backbone DIR, or backbone: in ${file}, the encoder to train an adapter on`,
    );
  }
  const out = flags.out ?? join('models', config.name);
  if (flags.preview === undefined) await checkPlace(out, flags.force ?? false);
  const backbone = await openBackbone(folder, { threads });
  try {
    const progress = createProgress();
    const data = await loadAdapterData(config, backbone, progress);
    if (flags.preview !== undefined) {
      const views = { ...config, operations: config.augment, inputSize: backbone.size };
      return await writePreview(flags.preview, { images: data.stored, ...views });
    }
    // A folder's name does not decide what is trained; its encoder does.
    const hash = hashConfig({ ...written, backbone: backbone.manifest.sha256 });
    const trained = await runAdapterTraining({
      config,
      hash,
      backbone,
      data,
      dir: flags.run ?? join('runs', config.name),
      fresh: flags.fresh ?? false,
      progress,
    });
    await publishTrained(trained, { ...flags, out }, () =>
      filesOf({ config, hash, text, backbone, data, trained }),
    );
  } finally {
    await backbone.encoder.close();
  }
}

interface FilesOptions {
  readonly config: AdapterConfig;
  readonly hash: string;
  /** The config's. */
  readonly text: string;
  readonly backbone: Backbone;
  readonly data: AdapterData;
  readonly trained: TrainedAdapter;
}

const imagesToProve = 8;

async function filesOf(options: FilesOptions): Promise<Readonly<Record<string, Uint8Array | string>>> {
  const { config, hash, text, backbone, data, trained } = options;
  const { manifest, size, fit, kernel } = backbone;
  const { adapter } = trained;
  const model = attachAdapter({ model: backbone.model, manifest, adapter });
  const count = Math.min(imagesToProve, data.plain.count);
  // A copy: the runtime takes no memory that threads share.
  const pixels = new Uint8Array(data.plain.pixels, 0, count * size * size * 3).slice();
  await proveAttached({ backbone, adapter, model, pixels, count });
  const { kind, features, dimension, hidden } = adapter.shape;
  return encoderFiles({
    name: config.name,
    version: config.version,
    licence: config.licence ?? manifest.licence,
    trainedOn: [...new Set([...manifest.trainedOn, data.name])],
    model,
    input: { size, fit, kernel },
    dimension,
    metrics: trained.metrics,
    config: { text, hash },
    architecture:
      `the encoder ${manifest.name} ${manifest.version} (sha256 ${manifest.sha256}), as it was, and an adapter behind it: ` +
      (kind === 'linear'
        ? `a linear map of ${features} to ${dimension}`
        : `a linear map of ${features} to ${dimension} and beside it ${hidden} hidden units`),
    images: `the adapter on ${data.plain.count} images of ${data.plain.labelNames.length} labels`,
    figures:
      'Figures after "backbone: " are those of the backbone alone on the same images, without the adapter.',
    history: trained.history,
  });
}
