import { createHash } from 'node:crypto';
import type { TrainConfig } from './schema.js';

type Aside = Partial<Pick<TrainConfig, 'threads' | 'workers' | 'checkpoint'>>;

/**
 * The sha256, lower-case hex, of what decides a training: the config with its defaults as JSON with sorted keys. What
 * only decides how fast it goes or how often it is saved (`threads`, `workers`, `checkpoint`) is left out, so that a
 * checkpoint can go on elsewhere.
 */
export function hashConfig(config: Aside & Readonly<Record<string, unknown>>): string {
  const rest: Aside = { ...config };
  delete rest.threads;
  delete rest.workers;
  delete rest.checkpoint;
  return createHash('sha256').update(canonicalJson(rest)).digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
