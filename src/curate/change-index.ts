import type { Changed, ChangeRequest } from '../neighbours/changes.js';
import { withWritableIndex, type WritableIndexOptions } from '../neighbours/writable-index.js';

export interface ChangeIndexOptions extends WritableIndexOptions {
  readonly request: ChangeRequest;
}

/**
 * Changes an index that no process serves with leave to change it.
 * @throws NearvoteError `index_readonly` naming who may change it now, `index_*`, `output_unwritable`, and what the request
 * is refused with: `example_missing`, `label_invalid`, `change_missing`, `change_conflict` and their like
 */
export function changeIndex({ request, ...where }: ChangeIndexOptions): Promise<Changed> {
  return withWritableIndex(where, ({ index }) => index.change(request));
}
