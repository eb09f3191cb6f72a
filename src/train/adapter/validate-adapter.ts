import type { Embeddings } from '../../domain/embeddings.js';
import type { Progress } from '../../domain/progress.js';
import type { Figures } from '../loop.js';
import { measureEmbeddings, type ValidateOptions } from '../validate.js';
import { runAdapter, type FrozenAdapter } from './adapter.js';

export interface AdapterValidationOptions extends Pick<ValidateOptions, 'vote' | 'threads' | 'seed'> {
  /** The backbone's embeddings of the images that vote. */
  readonly references: Embeddings;
  /** And of those that are asked about; left out, there are no figures. */
  readonly queries: Embeddings | undefined;
  /** Of the references and of the queries. */
  readonly labels: readonly [readonly string[], readonly string[]];
}

/** What the neighbours are worth, by the same metrics before the adapter and after it. */
export interface AdapterValidation {
  /** Of the backbone by itself. */
  alone(): Promise<Figures>;
  of(adapter: FrozenAdapter): Promise<Figures>;
}

export function createAdapterValidation(options: AdapterValidationOptions): AdapterValidation {
  const { references, queries, labels: labelled } = options;

  async function measure(embed: (rows: Embeddings) => Promise<Embeddings> | Embeddings): Promise<Figures> {
    if (queries === undefined) return {};
    const [known, asked] = [await embed(references), await embed(queries)];
    return measureEmbeddings(
      { ...options, progress: silent },
      { references: known, queries: asked, labelled },
    );
  }

  return {
    alone: () => measure((rows) => rows),
    of: (adapter) => measure((rows) => runAdapter(adapter, rows, options)),
  };
}

/** It takes well under a second. */
const silent: Progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
