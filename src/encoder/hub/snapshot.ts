import { z } from 'zod';
import { messageOf, NearvoteError } from '../../domain/errors.js';
import type { Progress } from '../../domain/progress.js';
import { type KeptFile, type RepositoryCache, repositoryCache } from './cache.js';
import type { ListedFile } from './download.js';
import { guardedFetch } from './guarded-fetch.js';
import { type HubSettings, isRepositoryName, type ModelName } from './settings.js';

/** A repository at one commit: what is in it, and a way to have it here. */
export interface Snapshot {
  readonly commit: string;
  readonly paths: readonly string[];
  /** Why `paths` are those in the cache and not all of the repository's; absent where they are all. */
  readonly onlyKept?: string;
  /** Of one of them. */
  bytesOf(path: string): number;
  /** Where files of it lie on this machine, in order, downloaded first where they are not here. */
  bring(paths: readonly string[]): Promise<string[]>;
  /** The licence that another repository's card names, such as a model that this one was made from. */
  licenceOf(repository: string): Promise<string | undefined>;
}

export interface SnapshotOptions {
  readonly settings: HubSettings;
  readonly model: ModelName;
  readonly progress: Progress;
  /** What whoever pulls should know. */
  readonly note: (remark: string) => void;
}

const digestRule = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
/** No part of a path leads anywhere else. */
const pathSchema = z.string().regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[^\\\p{Cc}]{1,400}$/u);
const entrySchema = z.object({ type: z.string() });
const fileSchema = z.object({
  path: pathSchema,
  size: z.int().min(0),
  oid: digestRule(40),
  lfs: z.object({ oid: digestRule(64), size: z.int().min(0) }).optional(),
});
const modelSchema = z.object({ sha: digestRule(40) });
const cardSchema = z.object({ cardData: z.object({ license: z.string().optional() }).optional() });
/** A repository with more files is no model. */
const mostFiles = 20_000;

/**
 * Opens a model's repository at the commit that its revision is now, or offline at the one that it was when last seen.
 * @throws NearvoteError `hub_unreachable`, `hub_refused`, or `encoder_missing` for what is not in the cache
 */
export async function openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { settings, model, note } = options;
  const cache = repositoryCache(settings, model.repository);
  if (settings.offline) return openKept({ ...options, cache, why: 'HF_HUB_OFFLINE is set' });
  try {
    return await openListed({ ...options, cache });
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'hub_unreachable') throw error;
    const commit = await cache.commitOf(model.revision);
    if (commit === undefined || (await cache.list(commit)).length === 0)
      throw withAdvice(error, { cache, model });
    note(`The hub cannot be reached, so what the cache holds is used (${error.message})`);
    return openKept({ ...options, cache, why: 'the hub cannot be reached' });
  }
}

type OpenOptions = SnapshotOptions & { readonly cache: RepositoryCache };

async function openListed({ settings, model, progress, note, cache }: OpenOptions): Promise<Snapshot> {
  const { repository: name, revision } = model;
  // Loaded when first needed, which no other command does: it is large.
  const hub = await import('@huggingface/hub');
  // The token is for our fetch to send: the library takes only those that begin with hf_.
  const access = { fetch: guardedFetch(settings), hubUrl: settings.endpoint };
  const files = new Map<string, ListedFile>();
  let commit: string;
  try {
    const info = await hub.modelInfo({ ...access, name, revision, additionalFields: ['sha'] });
    ({ sha: commit } = parsed(modelSchema, info, settings));
    const listing = { ...access, repo: { type: 'model', name }, revision: commit, recursive: true } as const;
    let entries = 0;
    for await (const entry of hub.listFiles(listing)) {
      if (++entries > mostFiles) throw unlike(settings, `more than ${mostFiles} files`);
      if (parsed(entrySchema, entry, settings).type !== 'file') continue;
      const { path, size, oid, lfs } = parsed(fileSchema, entry, settings);
      const digest = lfs
        ? ({ algorithm: 'sha256', hex: lfs.oid } as const)
        : ({ algorithm: 'git', hex: oid } as const);
      files.set(path, { path, bytes: lfs?.size ?? size, digest });
    }
  } catch (error) {
    // The library reads an answer without looking whether it is of the kind that it expects.
    throw error instanceof NearvoteError ? error : unlike(settings, `something else: ${messageOf(error)}`);
  }
  await cache.remember(revision, commit);

  const listed = (path: string): ListedFile => {
    const file = files.get(path);
    if (file === undefined) throw new RangeError(`Expected ${path} to be listed`);
    return file;
  };
  return {
    commit,
    paths: [...files.keys()],
    bytesOf: (path) => listed(path).bytes,
    bring: async (paths) => {
      const wanted = paths.map(listed);
      const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
      const steps = countKilobytes(progress);
      progress.start({ name: 'download', total: Math.ceil(total / 1000), unit: 'kB' });
      try {
        return await cache.bring({
          commit,
          files: wanted,
          urlOf: (path) =>
            `${settings.endpoint}/${name}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`,
          onBytes: steps,
          onWait: () => note(`Another process downloads ${name}; waiting for it`),
        });
      } finally {
        progress.finish();
      }
    },
    licenceOf: async (other) => {
      // A card may say anything, and what is asked for by it goes out with the token.
      if (!isRepositoryName(other)) return undefined;
      const card = await hub
        .modelInfo({ ...access, name: other, additionalFields: ['cardData'] })
        .catch(() => undefined);
      return cardSchema.safeParse(card).data?.cardData?.license;
    },
  };
}

async function openKept({ model, cache, why }: OpenOptions & { readonly why: string }): Promise<Snapshot> {
  const commit = await cache.commitOf(model.revision);
  const kept = new Map(
    (commit === undefined ? [] : await cache.list(commit)).map((file) => [file.path, file]),
  );
  const missing = (path: string) =>
    withAdvice(
      new NearvoteError(
        'encoder_missing',
        `Expected ${path} of ${model.repository} in the cache, because ${why}`,
      ),
      { cache, model },
    );
  if (commit === undefined || kept.size === 0) throw missing('the files');
  const file = (path: string): KeptFile => {
    const found = kept.get(path);
    if (found === undefined) throw missing(path);
    return found;
  };
  return {
    commit,
    paths: [...kept.keys()],
    onlyKept: why,
    bytesOf: (path) => file(path).bytes,
    bring: (paths) => Promise.resolve(paths.map((path) => file(path).place)),
    licenceOf: () => Promise.resolve(undefined),
  };
}

interface AdviceOptions {
  readonly cache: RepositoryCache;
  readonly model: ModelName;
}

/** What to do on a machine that cannot reach the hub. */
function withAdvice(error: NearvoteError, { cache, model }: AdviceOptions): NearvoteError {
  return new NearvoteError(
    error.code,
    `${error.message}. Without the hub: run the same command on a machine that reaches it and copy the folder ${cache.root} from there to here, ` +
      `or download a file of onnx/ (with the .onnx_data beside it, if there is one) from the page of ${model.repository} and give it to npx nearvote encoder add, with the size, mean and std that preprocessor_config.json or config.json says there`,
    { cause: error },
  );
}

/** Whole kilobytes of bytes. */
function countKilobytes(progress: Progress): (bytes: number) => void {
  let bytes = 0;
  let told = 0;
  return (count) => {
    bytes += count;
    const more = Math.floor(bytes / 1000) - told;
    if (more === 0) return;
    told += more;
    progress.advance(more);
  };
}

function parsed<Out>(schema: z.ZodType<Out>, value: unknown, settings: HubSettings): Out {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw unlike(settings, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? messageOf(result.error)}`);
}

function unlike({ endpoint }: HubSettings, said: string): NearvoteError {
  return new NearvoteError(
    'hub_unreachable',
    `Expected ${endpoint} to answer as the hub does but received ${said}`,
  );
}
