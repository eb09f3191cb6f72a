import { NearvoteError } from '../domain/errors.js';

/**
 * Refuses labels that an index cannot be calibrated on, before anything is embedded.
 * @throws NearvoteError `dataset_invalid`
 */
export function checkLabels(labels: Iterable<string>, indexLabels: Iterable<string>): void {
  const wanted = new Set(labels);
  const known = new Set(indexLabels);
  if (wanted.size === 0) throw invalid('Expected labelled images but received none');
  const strangers = [...wanted].filter((label) => !known.has(label));
  if (strangers.length > 0) {
    const named = strangers.slice(0, 5).map((label) => JSON.stringify(label));
    const more = strangers.length > 5 ? ` and ${strangers.length - 5} more` : '';
    throw invalid(
      `Expected only labels that the index has, ${listed([...known])}, but received ${named.join(', ')}${more}`,
    );
  }
  const [first = ''] = wanted;
  if (wanted.size === 1) {
    throw invalid(`Expected images of at least two labels but received ${JSON.stringify(first)} alone`);
  }
}

/**
 * Refuses too few images, once those that cannot be decoded are left out.
 * @throws NearvoteError `dataset_invalid`
 */
export function checkCount(count: number, k: number): void {
  if (count < k) throw invalid(`Expected at least as many images as k, which is ${k}, but received ${count}`);
}

function listed(labels: readonly string[]): string {
  return labels.length > 10 ? `${labels.slice(0, 10).join(', ')}, ...` : labels.join(', ');
}

function invalid(message: string): NearvoteError {
  return new NearvoteError('dataset_invalid', message);
}
