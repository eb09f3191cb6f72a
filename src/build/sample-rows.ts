import { seededRandom } from '../domain/seeded-random.js';

/**
 * Chooses `count` of `size` rows, each as likely as any other, in an order that is random too; the same seed gives the
 * same rows. A partial Fisher-Yates shuffle.
 */
export function sampleRows({ size, count, seed }: { size: number; count: number; seed: number }): Int32Array {
  const rows = Int32Array.from({ length: size }, (_, row) => row);
  const random = seededRandom(seed);
  const chosen = Math.min(count, size);
  for (let i = 0; i < chosen; i++) {
    const j = i + Math.floor(random() * (size - i));
    const row = rows[j] ?? 0;
    rows[j] = rows[i] ?? 0;
    rows[i] = row;
  }
  return rows.slice(0, chosen);
}
