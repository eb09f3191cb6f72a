import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import type { Dataset, LabelledImage } from '../../../src/image/dataset/dataset.js';

const made: string[] = [];

/** A new folder with these files in it, gone after the test. Call it from within one. */
export async function folderOf(files: Readonly<Record<string, Uint8Array | string>> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'nearvote-dataset-'));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

export function removeFoldersAfterEach(): void {
  afterEach(async () => {
    for (const root of made.splice(0)) await rm(root, { recursive: true, force: true });
  });
}

export async function listed(dataset: Dataset): Promise<LabelledImage[]> {
  const images: LabelledImage[] = [];
  for await (const image of dataset.images()) images.push(image);
  return images;
}

export async function idsOf(dataset: Dataset): Promise<string[]> {
  return (await listed(dataset)).map(({ id }) => id);
}
