import { Router } from 'express';
import { diffAside, verifyAside, type BoundedDifference } from '../curate/look-aside.js';
import type { VerifiedIndex } from '../curate/verify-index.js';
import { NearvoteError } from '../domain/errors.js';
import { folderOf } from './asked-index.js';
import type { ExampleRouteParts } from './example-routes.js';
import { routes } from './routes.js';
import { parseIndexQuery, parseQuery } from './schemas.js';
import type { ServedIndex } from './serving.js';
import { defaultNamed, differencesQuery } from './state-schemas.js';

/** What differs between two states of an index that is served, and whether all that is kept of it is whole. */
export function createStateRouter(
  parts: Pick<ExampleRouteParts, 'serving' | 'exposeSources'> & Required<Pick<ExampleRouteParts, 'writers'>>,
): Router {
  const { serving, exposeSources, writers = [] } = parts;
  const router = Router({ strict: true, caseSensitive: true });
  /** One at a time of an index: who asks meanwhile shares it. */
  const verifying = new Map<ServedIndex, Promise<VerifiedIndex>>();
  /** Each holds all examples of two states: one after the other, whoever asks. */
  let last: Promise<unknown> = Promise.resolve();

  router.get(routes.differences.path, ...writers, async (req, res) => {
    const { index, from, to, limit = defaultNamed } = parseQuery(differencesQuery, req.query);
    const root = folderOf(serving.find(index));
    const asked = last.then(() => diffAside({ root, from, to, limit }));
    last = asked.catch(() => undefined);
    const difference = await asked.catch((error: unknown) => {
      if (!(error instanceof NearvoteError) || error.code !== 'usage') throw error;
      throw new NearvoteError('query_invalid', error.message, { cause: error });
    });
    res.json(exposeSources ? difference : withoutSources(difference));
  });

  router.post(routes.verification.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const root = folderOf(served);
    let running = verifying.get(served);
    if (running === undefined) {
      running = verifyAside(root).finally(() => verifying.delete(served));
      verifying.set(served, running);
    }
    const { repaired, defects, ...counted } = await running;
    // Where the index lies is nobody's matter but that of whoever runs the server.
    const named = (sentences: readonly string[]): string[] =>
      sentences.map((sentence) => sentence.replaceAll(root, served.name));
    res.json({ ...counted, repaired: named(repaired), defects: named(defects) });
  });
  return router;
}

function withoutSources(difference: BoundedDifference): object {
  const bare = (examples: readonly { readonly source: string }[]): object[] =>
    examples.map((example) => ({ ...example, source: undefined }));
  const { added, deleted, relabelled } = difference;
  return { ...difference, added: bare(added), deleted: bare(deleted), relabelled: bare(relabelled) };
}
