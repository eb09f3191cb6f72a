import { parseCalibration, type CalibrationFile } from '../examples/calibration-file.js';
import { NearvoteError } from '../domain/errors.js';
import { indexManifestSchema, parseJson, type PublishedVersion } from '../examples/index-store.js';
import type { IndexUrl } from './index-url.js';
import { openIndexDatabase } from './postgres-index.js';
import { readHead, type Head } from './records.js';
import { checkDatabase } from './schema.js';

/** What a database says of an index that was loaded into it. */
export interface StoredIndex {
  /** The version that was loaded; `dir` is where it lies, for people. */
  readonly published: PublishedVersion;
  readonly calibration: CalibrationFile | undefined;
}

/**
 * Reads what an index in PostgreSQL was loaded from.
 * @throws NearvoteError `index_missing`, `index_invalid`, `calibration_invalid`, `database_unsuitable`, `database_unreachable`
 */
export async function readStoredIndex(url: IndexUrl): Promise<StoredIndex> {
  const database = await openIndexDatabase(url, { connections: 1 });
  try {
    const head = await database.transaction('read', async (query) => {
      await checkDatabase(query);
      return readHead(query, url.name);
    });
    const { calibration } = head;
    return {
      published: { name: url.name, version: head.version, dir: url.shown, manifest: manifestOf(head) },
      calibration: calibration === null ? undefined : parseCalibration(calibration),
    };
  } finally {
    await database.close();
  }
}

function manifestOf({ name, manifest }: Head): PublishedVersion['manifest'] {
  const parsed = indexManifestSchema.safeParse(parseJson(manifest));
  if (parsed.success) return parsed.data;
  throw new NearvoteError('index_invalid', `Expected a valid manifest of index ${name} in its database`);
}
