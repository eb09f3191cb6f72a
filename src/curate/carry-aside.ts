import { runAside } from '../processes/run-aside.js';
import { compiledModule } from '../processes/supervised-child.js';
import type { ExportedIndex, ExportOptions } from './export-index.js';
import type { ImportedIndex, ImportOptions } from './import-index.js';

interface ExportJob extends Pick<ExportOptions, 'root' | 'out' | 'version'> {
  /** Folder of the encoder, where that goes with it. */
  readonly encoderDir?: string | undefined;
}

/** Of an index that is served. */
interface ImportJob extends Required<Pick<ImportOptions, 'file' | 'sha256' | 'replace' | 'keep' | 'served'>> {
  readonly root: string;
}

export type CarryJob = ({ readonly ask: 'export' } & ExportJob) | ({ readonly ask: 'import' } & ImportJob);

const carry = (job: CarryJob): Promise<unknown> =>
  runAside(compiledModule('./carry-process.js', import.meta.url), job);

/**
 * `exportIndex` in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `exportIndex`, and `worker_failed`
 */
export async function exportAside(job: ExportJob): Promise<ExportedIndex> {
  return (await carry({ ask: 'export', ...job })) as ExportedIndex;
}

/**
 * `importIndex` into an index that is served, in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `importIndex`, and `worker_failed`
 */
export async function importAside(job: ImportJob): Promise<ImportedIndex> {
  return (await carry({ ask: 'import', ...job })) as ImportedIndex;
}
