import type { IndexManifest } from '../examples/index-store.js';
import type { IndexMeasurement } from './measure-index.js';

/** What a build did, for people and, as JSON, for machines. */
export interface BuildReport extends IndexMeasurement {
  readonly name: string;
  readonly version: string;
  readonly dir: string;
  /** False where the version served says the same already: nothing was published. */
  readonly changed: boolean;
  readonly manifest: IndexManifest;
  readonly examples: number;
  readonly rejected: number;
  /** Of the first few that were rejected: what it was and why. */
  readonly firstRejects: readonly string[];
  /** Examples that the encoder was trained on, as far as it can tell: new images will do worse than leave-one-out. */
  readonly trainedOn: number;
  /** Images that went through the encoder, and those whose embedding was in the cache. */
  readonly embedded: number;
  readonly fromCache: number;
  readonly searchKind: 'hnsw' | 'exact';
  /** Reading, decoding, embedding and inserting; the rest of `seconds` is writing and measuring. */
  readonly embedSeconds: number;
  readonly seconds: number;
  readonly warnings: readonly string[];
}
