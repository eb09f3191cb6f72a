import { Router } from 'express';

import { NearvoteError } from '../domain/errors.js';
import { adminKeyWords, createKeyring, requireKey } from './access.js';
import { codeOf } from './problems.js';
import { routes } from './routes.js';
import { parseIndexQuery, type ReloadBody } from './schemas.js';
import type { ServedIndex, Serving } from './serving.js';

/** What only the admin key opens; an API key does not. */
export function createAdminRouter(key: string, serving: Serving): Router {
  const router = Router({ strict: true, caseSensitive: true });
  router.post(routes.reload.path, requireKey(createKeyring([key]), adminKeyWords), async (req, res) => {
    const name = parseIndexQuery(req.query);
    const chosen = name === undefined ? serving.indexes : [serving.find(name)];
    res.json(reloadBody(await reloadEach(chosen)));
  });
  return router;
}

/** An index with what came of its reload: a version, or why it failed. */
interface Reloaded {
  readonly name: string;
  readonly outcome: PromiseSettledResult<{ readonly version: string }>;
}

/** One after another, since an index takes memory and cores beside the one that it replaces; one that fails stops no other. */
export async function reloadEach(indexes: readonly ServedIndex[]): Promise<Reloaded[]> {
  const reloaded: Reloaded[] = [];
  for (const { name, reload } of indexes) {
    const [outcome] = await Promise.allSettled([reload()]);
    reloaded.push({ name, outcome });
  }
  return reloaded;
}

/** @throws NearvoteError `reload_failed` naming each that failed, `shutting_down` */
function reloadBody(reloaded: readonly Reloaded[]): ReloadBody {
  const indexes = reloaded.flatMap(({ name, outcome }) =>
    outcome.status === 'fulfilled' ? { name, version: outcome.value.version } : [],
  );
  const [index] = indexes;
  if (index !== undefined && indexes.length === reloaded.length)
    return { status: 'reloaded', index, indexes };
  const failed = reloaded.flatMap(({ name, outcome }) =>
    outcome.status === 'rejected' ? { name, reason: outcome.reason as unknown } : [],
  );
  for (const { reason } of failed) if (codeOf(reason) === 'shutting_down') throw reason;
  const named = failed.map(({ name, reason }) => `${name} failed with ${codeOf(reason)}`).join(', ');
  const others = indexes.length === 0 ? '' : `; ${indexes.map(({ name }) => name).join(', ')} loaded`;
  throw new NearvoteError(
    'reload_failed',
    `Expected what is published to load but ${named}${others}. ` +
      'What failed goes on as before, and the log has the details',
    { cause: failed[0]?.reason },
  );
}
