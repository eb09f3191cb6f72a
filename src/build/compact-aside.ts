import { runAside } from '../processes/run-aside.js';
import { compiledModule } from '../processes/supervised-child.js';
import type { CompactJob } from './compact-process.js';
import type { CompactReport } from './compact.js';

/**
 * Compacts an index in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `compactIndex`, `worker_failed`
 */
export async function compactAside(job: CompactJob): Promise<CompactReport> {
  return (await runAside(compiledModule('./compact-process.js', import.meta.url), job)) as CompactReport;
}
