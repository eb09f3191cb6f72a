import { countLabels, type Dataset, type LabelledImage } from './dataset.js';

export interface SampleOptions {
  readonly maxPerClass: number;
  readonly seed: number;
}

/**
 * At most `maxPerClass` images of each label, in the dataset's order: those whose id hashes lowest under the seed, so
 * the choice for a label changes with nothing but its own ids and the seed, and grows with `maxPerClass` without
 * dropping any. It lists the dataset once and holds only the chosen ids.
 */
export async function limitPerClass(dataset: Dataset, options: SampleOptions): Promise<Dataset> {
  const { maxPerClass, seed } = options;
  const chosen = new Set<string>();
  for (const lowest of (await lowestByLabel(dataset.images(), { maxPerClass, seed })).values()) {
    for (const { id } of lowest) chosen.add(id);
  }
  const labelCounts = new Map(
    [...dataset.labelCounts].map(([label, count]) => [label, Math.min(count, maxPerClass)]),
  );
  return {
    ...dataset,
    size: chosen.size,
    labelCounts,
    async *images() {
      for await (const image of dataset.images()) if (chosen.has(image.id)) yield image;
    },
  };
}

/** At most `maxImages` images in all, in the dataset's order: those whose id hashes lowest under the seed. */
export async function limitImages(
  dataset: Dataset,
  { maxImages, seed }: { readonly maxImages: number; readonly seed: number },
): Promise<Dataset> {
  if (dataset.size <= maxImages) return dataset;
  const all = async function* (): AsyncGenerator<Pick<LabelledImage, 'id' | 'label'>> {
    for await (const { id } of dataset.images()) yield { id, label: '' };
  };
  const [lowest = []] = (await lowestByLabel(all(), { maxPerClass: maxImages, seed })).values();
  const chosen = new Set(lowest.map(({ id }) => id));
  const labels: string[] = [];
  for await (const { id, label } of dataset.images()) if (chosen.has(id)) labels.push(label);
  return {
    ...dataset,
    size: chosen.size,
    labelCounts: countLabels(labels),
    async *images() {
      for await (const image of dataset.images()) if (chosen.has(image.id)) yield image;
    },
  };
}

/** The images of a dataset whose label is one of these, in its order. */
export function withLabels(dataset: Dataset, labels: ReadonlySet<string>): Dataset {
  const labelCounts = new Map([...dataset.labelCounts].filter(([label]) => labels.has(label)));
  return {
    ...dataset,
    size: [...labelCounts.values()].reduce((sum, count) => sum + count, 0),
    labelCounts,
    async *images() {
      for await (const image of dataset.images()) if (labels.has(image.label)) yield image;
    },
  };
}

interface Ranked {
  readonly id: string;
  readonly hash: number;
}

async function lowestByLabel(
  images: AsyncIterable<Pick<LabelledImage, 'id' | 'label'>>,
  { maxPerClass, seed }: SampleOptions,
): Promise<ReadonlyMap<string, readonly Ranked[]>> {
  const byLabel = new Map<string, Ranked[]>();
  for await (const { id, label } of images) {
    const ranked = byLabel.get(label) ?? [];
    byLabel.set(label, ranked);
    ranked.push({ id, hash: hash53(id, seed) });
    // Twice what is kept before it is cut back: the sorting costs O(log n) an image.
    if (ranked.length >= 2 * maxPerClass + 64) keepLowest(ranked, maxPerClass);
  }
  for (const ranked of byLabel.values()) keepLowest(ranked, maxPerClass);
  return byLabel;
}

function keepLowest(ranked: Ranked[], count: number): void {
  ranked.sort((a, b) => a.hash - b.hash || (a.id < b.id ? -1 : 1));
  ranked.length = Math.min(ranked.length, count);
}

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

/** cyrb53 (public domain, https://github.com/bryc/code): an even 53-bit hash of a string under a seed. */
export function hash53(text: string, seed: number): number {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
