import type { Advice } from '../evaluate/advise.js';

/** Which labels would gain most from more examples; drawn aside, once for each state of an index. */
export interface LabelAdvice {
  /** Of this state; undefined while it is drawn. */
  at(sequence: number): Advice | undefined;
}

/** @param onFailed told why it could not be drawn; it is tried again for the next state */
export function createLabelAdvice(
  draw: () => Promise<Advice>,
  onFailed: (error: unknown) => void,
): LabelAdvice {
  let drawn: Advice | undefined;
  let tried: number | undefined;
  let drawing = false;
  return {
    at: (sequence) => {
      if (drawn?.sequence === sequence) return drawn;
      if (drawing || tried === sequence) return undefined;
      drawing = true;
      tried = sequence;
      void draw()
        .then((advice) => (drawn = advice), onFailed)
        .finally(() => (drawing = false));
      return undefined;
    },
  };
}
