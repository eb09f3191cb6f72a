import type { Progress } from '../../src/domain/progress.js';

/** Progress that is counted and not shown. */
export function countingProgress(): Progress & { readonly advanced: number } {
  let advanced = 0;
  return {
    get advanced() {
      return advanced;
    },
    start: () => undefined,
    advance: (by) => void (advanced += by),
    finish: () => undefined,
  };
}
