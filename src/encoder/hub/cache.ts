import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { writeDurably, writing } from '../../files/durable.js';
import { type FolderLock, lockFolder } from '../../files/lock.js';
import { download, type ListedFile, matches } from './download.js';
import type { HubSettings } from './settings.js';

/**
 * One repository's part of the cache that Hugging Face's tools share: `blobs/DIGEST` are the files, `snapshots/COMMIT/PATH`
 * links to them, and `refs/REVISION` says which commit a branch was last seen at.
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export interface RepositoryCache {
  readonly root: string;
  /** The commit that a branch or tag was last seen at, or the commit itself; undefined where nothing is kept of it. */
  commitOf(revision: string): Promise<string | undefined>;
  remember(revision: string, commit: string): Promise<void>;
  /** What is kept of a commit, by its path in the repository. */
  list(commit: string): Promise<KeptFile[]>;
  /** Brings files that are not kept, and gives where all of them lie, in order. @throws NearvoteError as `download` does */
  bring(options: BringOptions): Promise<string[]>;
}

export interface KeptFile {
  readonly path: string;
  readonly bytes: number;
  /** On this machine. */
  readonly place: string;
}

interface BringOptions {
  readonly commit: string;
  readonly files: readonly ListedFile[];
  readonly urlOf: (path: string) => string;
  readonly onBytes: (count: number) => void;
  /** Another process holds the lock; said once. */
  readonly onWait: () => void;
}

const commitRule = /^[0-9a-f]{40}$/;

export function repositoryCache(settings: HubSettings, repository: string): RepositoryCache {
  const folder = `models--${repository.replace('/', '--')}`;
  const root = join(settings.cacheDir, folder);
  const placeOf = (commit: string, path: string) => join(root, 'snapshots', commit, ...path.split('/'));

  return {
    root,
    commitOf: async (revision) => {
      if (commitRule.test(revision)) return revision;
      const text = await readFile(join(root, 'refs', ...revision.split('/')), 'utf8').catch(() => '');
      return commitRule.test(text.trim()) ? text.trim() : undefined;
    },
    remember: (revision, commit) =>
      writing(settings.cacheDir, async () => {
        if (commitRule.test(revision)) return;
        const place = join(root, 'refs', ...revision.split('/'));
        await mkdir(dirname(place), { recursive: true });
        const draft = draftOf(place);
        await writeDurably(draft, commit);
        await rename(draft, place);
      }),
    list: async (commit) => {
      const snapshot = join(root, 'snapshots', commit);
      const names = await readdir(snapshot, { recursive: true }).catch(() => []);
      const kept = names.map(async (name): Promise<KeptFile[]> => {
        const place = join(snapshot, name);
        const found = await stat(place).catch(() => undefined);
        return found?.isFile() === true
          ? [{ path: name.split(sep).join('/'), bytes: found.size, place }]
          : [];
      });
      return (await Promise.all(kept)).flat();
    },
    bring: ({ commit, files, urlOf, onBytes, onWait }) =>
      writing(settings.cacheDir, async () => {
        const blobs = join(root, 'blobs');
        await mkdir(blobs, { recursive: true });
        const locks = join(settings.cacheDir, '.locks', folder);
        await mkdir(locks, { recursive: true });
        const lock = await waitForLock(locks, onWait);
        try {
          const places: string[] = [];
          for (const file of files) {
            const place = placeOf(commit, file.path);
            const blob = join(blobs, file.digest.hex);
            if (!(await matches(blob, file))) {
              await rm(blob, { force: true });
              await download({ url: urlOf(file.path), file, to: blob, settings, onBytes });
            } else onBytes(file.bytes);
            await link(blob, place);
            places.push(place);
          }
          return places;
        } finally {
          await lock.release();
        }
      }),
  };
}

/** Two pulls of one model are one download: the second waits, and finds it there. */
async function waitForLock(root: string, onWait: () => void): Promise<FolderLock> {
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await lockFolder(root);
    } catch (error) {
      if (!(error instanceof NearvoteError) || error.code !== 'output_unwritable') throw error;
      if (isFirst) onWait();
      await pause(250);
    }
  }
}

/** Makes `place` lead to a blob, or be a copy of it where there are no links. */
async function link(blob: string, place: string): Promise<void> {
  const there = await realpath(place).catch(() => undefined);
  if (there !== undefined && there === (await realpath(blob))) return;
  await mkdir(dirname(place), { recursive: true });
  const draft = draftOf(place);
  await symlink(relative(dirname(place), blob), draft).catch(async (error: unknown) => {
    // Windows asks for a right that few have.
    if (systemCodeOf(error) !== 'EPERM') throw error;
    await copyFile(blob, draft);
  });
  await rename(draft, place);
}

/** A name beside a place that nobody else has. */
function draftOf(place: string): string {
  return join(dirname(place), `.${basename(place)}.${randomBytes(4).toString('hex')}`);
}
