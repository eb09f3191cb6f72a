import { runAside } from '../processes/run-aside.js';
import { compiledModule } from '../processes/supervised-child.js';
import type { Advice, AdviseOptions } from './advise.js';

/**
 * Draws the learning curves of an index in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `adviseIndex`, `worker_failed`
 */
export async function adviseAside(options: AdviseOptions): Promise<Advice> {
  return (await runAside(compiledModule('./advise-process.js', import.meta.url), options)) as Advice;
}
