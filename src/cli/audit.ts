import { join } from 'node:path';
import { Command } from 'commander';
import { auditIndex, checkAuditable, type Audit, type HeldOut } from '../audit/audit-index.js';
import { auditPage } from '../audit/audit-page.js';
import { findingsOf } from '../audit/findings.js';
import type { Progress } from '../domain/progress.js';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { embedDataset } from '../evaluate/embed-dataset.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
import { everyImageById } from '../image/dataset/images-by-id.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import { openIndex, type OpenIndex } from '../examples/index-store.js';
import { renderPage } from '../report/render-page.js';
import type { Picture } from '../report/section.js';
import { pixelReader } from './audit-images.js';
import { auditOptions, type AuditFlags } from './audit-options.js';
import { auditSummary, renderAudit } from './audit-summary.js';
import { openOffline, resolveShipped } from '../pair.js';
import { createProgress } from './progress.js';
import { thumbnailsOf } from './report-thumbnails.js';
import { writeOutput } from './output-file.js';

export function auditCommand(): Command {
  const command = new Command('audit')
    .description(
      'ask the neighbours about the examples: wrong labels, duplicates, leaks, what could be dropped',
    )
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote audit --index index/photos --examples photos --test validation --report audit.html\n',
    )
    .action(async (flags: AuditFlags, self: Command) => {
      // Only a k that somebody asked for can be too large; the default is clamped.
      await audit(flags, self.getOptionValueSource('k') === 'default');
    });
  for (const option of auditOptions()) command.addOption(option);
  return command;
}

/** The images of the test set, by row of its embeddings. */
interface Test extends HeldOut {
  readonly images: readonly LabelledImage[];
}

async function audit(flags: AuditFlags, clampK: boolean): Promise<void> {
  const progress = createProgress();
  const index = await openIndex(resolveShipped(flags.index));
  const { examples, manifest, name, version } = index;
  const k = clampK ? Math.min(flags.k, Math.max(1, examples.length - 1)) : flags.k;
  checkAuditable({ name, examples, k });
  const images = flags.examples === undefined ? undefined : await indexedImages(flags.examples, flags, index);
  const test = flags.test === undefined ? undefined : await embedTest(flags.test, flags, progress);
  const { maxPixels } = flags;
  const result = await auditIndex({
    name,
    examples,
    embeddings: await readEmbeddingsFile({
      path: join(index.dir, 'embeddings.f32'),
      count: manifest.examples,
      dimension: manifest.dimension,
    }),
    k,
    vote: { rule: flags.vote, temperature: flags.temperature },
    test: test && { ...test, readPixels: pixelReader({ images: test.images, maxPixels, progress }) },
    readPixels: images && pixelReader({ images, maxPixels, progress }),
    seed: flags.seed,
    threads: flags.workers * flags.threads,
    progress,
  });
  const summary = auditSummary({
    audit: result,
    examples,
    index: { name, version },
    labels: manifest.labels.length,
    vote: flags.vote,
    test: test === undefined ? null : { name: test.name, images: test.images.length },
    pixels: images !== undefined,
    trainedOnThem: await wasTrainedOn(flags, index),
  });
  if (flags.out !== undefined) {
    const lines = findingsOf(result, examples).map((finding) => `${JSON.stringify(finding)}\n`);
    await writeOutput(flags.out, lines.join(''));
  }
  if (flags.report !== undefined) {
    await writeOutput(flags.report, await renderReport({ result, index, images, test, flags }));
  }
  console.log(flags.json ? JSON.stringify(summary, null, 2) : renderAudit(summary, result, examples));
}

async function indexedImages(
  path: string,
  { examplesSplit, maxImageBytes }: AuditFlags,
  { examples }: OpenIndex,
): Promise<readonly LabelledImage[]> {
  const dataset = await openDataset(path, { split: examplesSplit, maxFileBytes: maxImageBytes });
  return everyImageById({ dataset, ids: examples.map(({ id }) => id), place: path });
}

async function embedTest(path: string, flags: AuditFlags, progress: Progress): Promise<Test> {
  const dataset = await openDataset(path, { split: flags.split, maxFileBytes: flags.maxImageBytes });
  const inFlight = 4 * flags.maxBatch * flags.workers;
  const pair = await openOffline({ ...flags, maxQueue: inFlight });
  try {
    const { images, embeddings } = await embedDataset({ ...pair, dataset, inFlight, progress });
    return { name: dataset.name, images, embeddings };
  } finally {
    await pair.pool.close();
  }
}

async function wasTrainedOn({ models }: AuditFlags, { manifest }: OpenIndex): Promise<boolean | null> {
  try {
    const encoder = await readEncoderManifest(resolveShipped(join(models, manifest.encoder.name)));
    return encoder.sha256 === manifest.encoder.sha256 ? encoder.trainedOn.includes(manifest.dataset) : null;
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'encoder_missing') return null;
    throw error;
  }
}

interface ReportOptions {
  readonly result: Audit;
  readonly index: OpenIndex;
  readonly images: readonly LabelledImage[] | undefined;
  readonly test: Test | undefined;
  readonly flags: AuditFlags;
}

async function renderReport({ result, index, images, test, flags }: ReportOptions): Promise<string> {
  const { name, version, examples } = index;
  const page = await auditPage({
    name,
    subtitle: `${name} ${version}, k = ${result.k}, ${flags.vote} vote${test === undefined ? '' : `, against ${test.name}`}`,
    examples,
    test,
    audit: result,
    findImage: images && (async (of, row) => thumbnailOf(of === 'index' ? images[row] : test?.images[row])),
  });
  return renderPage(page);
}

/** Nothing where the image can no longer be read. */
async function thumbnailOf(image: LabelledImage | undefined): Promise<Picture['image']> {
  const bytes = image && (await thumbnailsOf([image])).get(image.id);
  return bytes && { bytes, type: 'image/webp' };
}
