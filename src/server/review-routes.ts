import { Router } from 'express';
import { noneLabel } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import type { KeptDecision } from '../examples/kept-decisions.js';
import type { DecisionKeeper } from './decision-keeper.js';
import { readJson, reasonOf, type SentReason } from './example-body.js';
import { onlyOutcome, parameter, reading, type ExampleRouteParts } from './example-routes.js';
import type { ChangedBody } from './example-schemas.js';
import { answerJson, defaultReviewed, feedbackJson, reviewQuery, type ReviewBody } from './review-schemas.js';
import { routes } from './routes.js';
import { parseIndexQuery, parseQuery } from './schemas.js';
import type { ServedIndex } from './serving.js';

/** What a person says of the decisions that were made, and which of them a person should look at. */
export function createReviewRouter(
  parts: Pick<ExampleRouteParts, 'serving' | 'admission' | 'requestTimeoutMs'> &
    Required<Pick<ExampleRouteParts, 'writers'>>,
): Router {
  const { serving, writers = [] } = parts;
  const router = Router({ strict: true, caseSensitive: true });

  router.post(routes.feedback.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { id, label, ...why } = await reading(parts, { req, res }, (how) =>
      readJson({ req, res }, how, feedbackJson),
    );
    res.json(await teach(served, await keeperOf(served).find(id), { label, ...reasonOf(why) }));
  });

  router.get(routes.review.path, ...writers, async (req, res) => {
    const { index, limit = defaultReviewed } = parseQuery(reviewQuery, req.query);
    const served = serving.find(index);
    const { keeper, reviewBelow: below } = served.kept ?? {};
    if (keeper === undefined || below === undefined) {
      throw new NearvoteError('not_found', 'Expected a server that was started with --review');
    }
    const { waiting, decisions } = await keeper.review({ below, limit });
    const suffix = index === undefined ? '' : `?index=${encodeURIComponent(index)}`;
    const body: ReviewBody = {
      waiting,
      decisions: decisions.map(({ at, decision: { id, label, outcome, confidence, pValue } }) => ({
        ...{ id, at, label, outcome, confidence },
        ...(pValue === undefined ? {} : { pValue }),
        picture: `/review/${id}/picture${suffix}`,
      })),
    };
    res.json(body);
  });

  router.get(routes.reviewPicture.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const { picture } = await keeperOf(served).find(parameter(req, 'id'));
    res.setHeader('Content-Type', picture.mediaType);
    res.end(picture.bytes);
  });

  router.post(routes.answerReview.path, ...writers, async (req, res) => {
    const served = serving.find(parseIndexQuery(req.query));
    const answer = await reading(parts, { req, res }, (how) => readJson({ req, res }, how, answerJson));
    const keeper = keeperOf(served);
    const kept = await keeper.find(parameter(req, 'id'));
    if ('dismiss' in answer) {
      await keeper.answered(kept.digest);
      const sequence = served.classifier?.index.sequence ?? 0;
      res.json({ id: kept.decision.id, sequence, outcome: 'dismissed' });
      return;
    }
    const label = 'none' in answer ? noneLabel : answer.label;
    res.json(await teach(served, kept, { label, ...reasonOf(answer) }));
  });
  return router;
}

/** @throws NearvoteError `decision_missing` */
function keeperOf({ kept }: ServedIndex): DecisionKeeper {
  if (kept !== undefined) return kept.keeper;
  throw new NearvoteError(
    'decision_missing',
    'Expected a server that keeps the images of its decisions but it was started without --keep-images',
  );
}

/** Makes the image of a decision an example; what the encoder made of it then is what it would make now. */
async function teach(
  served: ServedIndex,
  { decision, digest, encoder, embedding, picture }: KeptDecision,
  { label, ...why }: SentReason & { readonly label: string },
): Promise<ChangedBody> {
  const source = `decision ${decision.id}`;
  const examples = [{ label, digest, source, embedding, picture }];
  const changed = await served.changes.change({ kind: 'add', examples, ...why }, () => {
    if (served.classifier?.encoderDigest === encoder) return;
    throw new NearvoteError(
      'decision_outdated',
      `Expected a decision of the encoder that is served but another has made ${decision.id}; send its image to POST /examples`,
    );
  });
  const body = onlyOutcome(changed);
  // The change is made: that the image is asked about once more is no reason to say otherwise.
  await served.kept?.keeper.answered(digest).catch(() => undefined);
  return body;
}
