import type { Dataset } from './dataset.js';
import { countLabels } from './label-counts.js';
import { hash53 } from './sample.js';

export interface HoldOutOptions {
  /** Of each label, above 0 and below 1; at least one image of a label is held and at least two are kept. */
  readonly share: number;
  readonly seed: number;
}

/** What is left to train on, and what is held out to measure on. */
export interface HeldOut {
  readonly kept: Dataset;
  readonly held: Dataset;
}

/**
 * Splits a dataset by id: of each label the images whose ids hash lowest under the seed are held out. Labels with fewer
 * than three images are kept whole. It lists the dataset once and holds every id.
 */
export async function holdOut(dataset: Dataset, { share, seed }: HoldOutOptions): Promise<HeldOut> {
  const byLabel = new Map<string, { id: string; hash: number }[]>();
  for await (const { id, label } of dataset.images()) {
    const ids = byLabel.get(label) ?? [];
    byLabel.set(label, ids);
    ids.push({ id, hash: hash53(id, seed) });
  }
  const held = new Set<string>();
  for (const ids of byLabel.values()) {
    const count = Math.min(ids.length - 2, Math.max(1, Math.round(share * ids.length)));
    ids.sort((a, b) => a.hash - b.hash || (a.id < b.id ? -1 : 1));
    for (const { id } of ids.slice(0, Math.max(0, count))) held.add(id);
  }

  const part = (wanted: boolean): Dataset => {
    const labels = [...byLabel].flatMap(([label, ids]) =>
      ids.filter(({ id }) => held.has(id) === wanted).map(() => label),
    );
    return {
      name: dataset.name,
      size: labels.length,
      labelCounts: countLabels(labels),
      async *images() {
        for await (const image of dataset.images()) if (held.has(image.id) === wanted) yield image;
      },
    };
  };
  return { kept: part(false), held: part(true) };
}
