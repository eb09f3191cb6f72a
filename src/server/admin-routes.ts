import { Router } from 'express';

import { NearvoteError } from '../domain/errors.js';
import { createKeyring, requireKey } from './api-keys.js';
import { codeOf } from './problems.js';
import { routes } from './routes.js';
import type { ReloadBody } from './schemas.js';

export interface Admin {
  readonly key: string;
  /** Swaps in what is published now; where that fails, what was served before goes on. */
  readonly reload: () => Promise<{ readonly name: string; readonly version: string }>;
}

/** What only the admin key opens; an API key does not. */
export function createAdminRouter({ key, reload }: Admin, onFailed: (error: unknown) => void): Router {
  const router = Router({ strict: true, caseSensitive: true });
  router.post(routes.reload.path, requireKey(createKeyring([key])), async (_req, res) => {
    try {
      const { name, version } = await reload();
      const body: ReloadBody = { status: 'reloaded', index: { name, version } };
      res.json(body);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'shutting_down') throw error;
      onFailed(error);
      throw new NearvoteError(
        'reload_failed',
        `Expected the published index to load but it failed with ${code}; ` +
          'the index from before goes on serving, and the log has the details',
        { cause: error },
      );
    }
  });
  return router;
}
