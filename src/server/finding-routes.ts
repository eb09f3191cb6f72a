import { Router } from 'express';
import {
  actsOf,
  defaultMinProbability,
  type ApplyChoice,
  type FindingActs,
} from '../audit/apply-findings.js';
import type { KnownFinding } from '../audit/findings-file.js';
import { checkLabel } from '../neighbours/example-names.js';
import type { Neighbours } from '../neighbours/neighbours.js';
import { neighboursOf } from './asked-index.js';
import { readJson } from './example-body.js';
import { reading, type ExampleRouteParts } from './example-routes.js';
import { findingsJson, findingsQuery, type AppliedBody } from './finding-schemas.js';
import { routes } from './routes.js';
import { parseQuery } from './schemas.js';

/** Some 15,000 findings: they are checked between two requests. */
const mostFindingsBytes = 4 * 1024 * 1024;

/** What an audit found, applied to an index that is served. */
export function createFindingRouter(
  parts: Pick<ExampleRouteParts, 'serving' | 'admission' | 'requestTimeoutMs' | 'limits'> &
    Required<Pick<ExampleRouteParts, 'writers'>>,
): Router {
  const { serving, limits, writers = [] } = parts;
  const router = Router({ strict: true, caseSensitive: true });
  router.post(routes.findings.path, ...writers, async (req, res) => {
    const {
      index,
      kind,
      minProbability = defaultMinProbability,
      ...asked
    } = parseQuery(findingsQuery, req.query);
    const served = serving.find(index);
    const limit = Math.min(limits.maxBodyBytes, mostFindingsBytes);
    const sent = await reading(parts, { req, res }, (how) =>
      readJson({ req, res }, { ...how, limit }, findingsJson),
    );
    const [findings, who = null] = 'findings' in sent ? [sent.findings, sent.who] : [[sent]];
    const choice = {
      kinds: kind === undefined ? undefined : new Set([kind]),
      ...{ minProbability, unconfirmed: asked.unconfirmed === 'true' },
    };
    if (asked.dryRun === 'true') {
      const neighbours = neighboursOf(served);
      const planned = await planOver(neighbours, findings, choice);
      res.json(appliedBody(planned, { sequence: neighbours.state.sequence, operation: null }));
      return;
    }
    let planned: FindingActs | undefined;
    const changed = await served.changes.change(async (neighbours) => {
      planned = await planOver(neighbours, findings, choice);
      return { kind: 'edit', acts: planned.acts, reason: 'audit', who };
    });
    res.json(appliedBody(planned ?? { acts: [], fates: [], labelsGone: [] }, changed));
  });
  return router;
}

async function planOver(
  neighbours: Neighbours,
  findings: readonly KnownFinding[],
  choice: ApplyChoice,
): Promise<FindingActs> {
  const ids = [...new Set(findings.flatMap((finding) => ('ids' in finding ? finding.ids : [])))];
  const labels = await neighbours.labelsOf(ids);
  const labelOf = new Map(ids.map((id, i) => [id, labels[i] ?? undefined]));
  const held = { labelOf: (id: string) => labelOf.get(id), labels: neighbours.state.labels, checkLabel };
  return actsOf(findings, held, choice);
}

function appliedBody(
  { acts, fates, labelsGone }: FindingActs,
  { sequence, operation }: Pick<AppliedBody, 'sequence' | 'operation'>,
): AppliedBody {
  const relabelled = acts.filter(({ kind }) => kind === 'relabel').length;
  const deleted = acts.length - relabelled;
  return { sequence, operation, relabelled, deleted, labelsGone: [...labelsGone], results: [...fates] };
}
