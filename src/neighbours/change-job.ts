/* A change request as it goes to the process that holds an index, and as it comes out there. */
import { bytesOf, floatsOf, type Frame } from '../processes/frames.js';
import { newExamplesOf, type ChangeRequest } from './changes.js';
import type { ChangeJob } from './owner-messages.js';

type Example = ReturnType<typeof newExamplesOf>[number];

/** A request in words, and beside it the embedding and the picture of each example that it would add. */
export function changeJob(request: ChangeRequest): [ChangeJob, Frame['parts']] {
  const examples = newExamplesOf(request);
  const withoutBytes = withExamples(request, (example) => ({
    ...example,
    embedding: none,
    picture: undefined,
  }));
  const mediaTypes = examples.map(({ picture }) => picture?.mediaType ?? null);
  const parts = examples.flatMap(({ embedding, picture }) => [bytesOf(embedding), picture?.bytes ?? noBytes]);
  return [{ ask: 'change', request: withoutBytes, mediaTypes }, parts];
}

/** The request that `changeJob` made words of. */
export function requestOf({ request, mediaTypes }: ChangeJob, parts: Frame['parts']): ChangeRequest {
  let at = 0;
  return withExamples(request as ChangeRequest, (example) => {
    const [embedding, bytes = noBytes] = parts.slice(2 * at, 2 * at + 2);
    const mediaType = mediaTypes[at++] ?? null;
    const picture = mediaType === null ? undefined : { bytes, mediaType };
    return { ...example, embedding: floatsOf(embedding), picture };
  });
}

const none = new Float32Array(0);
const noBytes = new Uint8Array(0);

/** The same request with something else for each example that it would add, in the order of `newExamplesOf`. */
function withExamples(request: ChangeRequest, of: <One extends Example>(example: One) => One): ChangeRequest {
  if (request.kind === 'add') return { ...request, examples: request.examples.map((one) => of(one)) };
  if (request.kind !== 'edit') return request;
  const acts = request.acts.map((act) => (act.kind === 'add' ? { ...act, example: of(act.example) } : act));
  return { ...request, acts };
}
