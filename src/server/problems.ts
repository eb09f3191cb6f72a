import type { IncomingMessage, ServerResponse } from 'node:http';

import { type ErrorCode, NearvoteError } from '../domain/errors.js';
import { hasBody } from './body.js';
import type { Exchange } from './exchange.js';
import type { Problem } from './schemas.js';
import { requestIdOf, standardHeaders } from './standard-headers.js';

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Hidden details may name files or native libraries: they go to the log alone. */
  readonly detail: 'shown' | 'hidden';
  /** Where it comes from and what to do about it, for whoever is answered so; absent from what no request is answered with. */
  readonly advice?: string;
}

const shown = (status: number, title: string, advice: string): ProblemKind => ({
  ...{ status, title, advice },
  detail: 'shown',
});
const hidden = (status: number, title: string): ProblemKind => ({ status, title, detail: 'hidden' });

/** Every code's HTTP answer; a new code without one does not compile. */
export const problemKinds: Readonly<Record<ErrorCode, ProblemKind>> = {
  image_missing: shown(
    400,
    'No image was sent',
    'The body is empty, or the form has no part image or images. Send the file as the body with its Content-Type, or as a part named image.',
  ),
  image_empty: shown(
    400,
    'The image is empty',
    'The file has no bytes. Check that it was read before it was sent.',
  ),
  image_too_large: shown(
    413,
    'The image has too many bytes',
    "The file is larger than the server's --max-image-bytes. Send a smaller one.",
  ),
  image_too_many_pixels: shown(
    413,
    'The image has too many pixels',
    "The image is larger than the server's --max-pixels. Scale it down first.",
  ),
  image_too_costly: shown(
    413,
    'The image takes too much to decode',
    'Decoding it would take more memory or time than the server allows one image. Scale it down, or save it again as a baseline JPEG or a PNG.',
  ),
  image_unsupported: shown(
    415,
    'The image format is not supported',
    'The bytes are no JPEG, PNG, WebP, GIF, AVIF or TIFF, or are another format than the Content-Type says. Convert the file.',
  ),
  image_damaged: shown(
    422,
    'The image cannot be decoded',
    'The file begins like an image but is cut short or broken. Open it in a viewer, and save or fetch it again.',
  ),
  body_too_large: shown(
    413,
    'The request body is too large',
    "The whole body is larger than the server's --max-body-bytes. Send fewer images a request. Of a bundle it is --max-bundle-bytes.",
  ),
  too_many_images: shown(
    413,
    'Too many images in one request',
    "There are more images than the server's --max-images. Send several requests.",
  ),
  request_malformed: shown(
    400,
    'The request is malformed',
    'The HTTP request, the form or the JSON cannot be parsed. The detail says where.',
  ),
  field_unexpected: shown(
    400,
    'Unexpected field',
    'A form or a JSON object has a field other than image or images, or both. Send exactly one of the two.',
  ),
  query_invalid: shown(
    400,
    'Invalid query',
    'A query parameter is unknown or has a value that is not allowed. The detail names it.',
  ),
  k_too_large: shown(
    400,
    'More neighbours were asked for than there are or may be',
    "k is larger than the index or than the server's --max-k. Ask for fewer neighbours.",
  ),
  media_type_unsupported: shown(
    415,
    'The content type is not supported',
    'The Content-Type is none that the route takes. Use multipart/form-data, application/json, image/* or application/octet-stream.',
  ),
  label_invalid: shown(
    400,
    'The label cannot be used',
    'A label has 1 to 200 characters, none of them a control character, and no white space around it. The detail says what is wrong.',
  ),
  label_missing: shown(
    404,
    'No such label',
    'No example of the index has this label. GET /labels lists those that there are.',
  ),
  id_invalid: shown(
    400,
    'The id cannot be used',
    'An id has 1 to 128 letters, digits and . _ ~ - and does not begin with a dot. Leave it out, and one is made from the image.',
  ),
  example_missing: shown(
    404,
    'No such example',
    'The index has no example with this id; it may have been deleted. GET /examples lists those that there are.',
  ),
  example_conflict: shown(
    409,
    'The example is there already as something else',
    'The image has another label in the index, or the id belongs to another image. The detail names the example; PATCH it, or choose another id.',
  ),
  decision_missing: shown(
    404,
    'The decision is not kept',
    'The server keeps the images of its decisions only with --keep-images, so many and for so long. Send the image to POST /examples instead.',
  ),
  decision_outdated: shown(
    409,
    'Another encoder has made the decision',
    'What was kept of the image is of another encoder than the one that is served. Send the image to POST /examples instead.',
  ),
  change_missing: shown(
    404,
    'No such change',
    'The index has no change with this number. GET /changes lists those that there are.',
  ),
  change_conflict: shown(
    409,
    'The change cannot be taken back',
    'An example that it changed was changed again since. The detail names it; take the later change back first.',
  ),
  index_readonly: shown(
    409,
    'The index cannot be changed here',
    'This server may not change the index: it was started without an admin key, its folder cannot be written, or another process writes it.',
  ),
  changes_left_out: shown(
    409,
    'The bundle lacks what was changed in the index',
    'Examples were taught or corrected here, and the bundle holds none of that. Send it with `?replace=true` where that is meant: what is served now stays as a version.',
  ),
  calibration_unfit: shown(
    409,
    'There is too little to calibrate on',
    'The detail says what is missing. Teach more examples of more labels, or calibrate on other images by command.',
  ),
  index_empty: shown(
    409,
    'The index has no examples',
    'Nothing was taught yet, or everything was deleted. Send examples to POST /examples first.',
  ),
  index_behind: shown(
    412,
    'The index has not come so far',
    'The index has not made the change that atLeast names, or this server has not seen it yet. The detail says how far it is; send again in a moment.',
  ),
  not_found: shown(404, 'No such route', "The path is none of this server's. See the list of routes above."),
  index_unknown: shown(
    404,
    'No such index',
    'The server has no index of the name that the query parameter index gives. The detail names those there are.',
  ),
  method_not_allowed: shown(
    405,
    'Method not allowed',
    'The route exists for other methods, which the header Allow names.',
  ),
  host_not_allowed: shown(
    421,
    'The server does not answer to this host',
    'The Host header names a host that this server was not started for. Whoever runs it adds the host to --allowed-hosts.',
  ),
  unauthorized: shown(
    401,
    'A valid key is needed',
    'The route needs a key. Send it as Authorization: Bearer KEY or as X-API-Key.',
  ),
  rate_limited: shown(
    429,
    'Too many requests from this client',
    'This key or address sent more requests in a minute than --rate-limit allows. Wait for as long as Retry-After says.',
  ),
  overloaded: shown(
    429,
    'The server is overloaded',
    'More images or bytes are at work than the server holds at once. Wait for as long as Retry-After says, then send again.',
  ),
  timed_out: shown(
    503,
    'The request took too long',
    'The answer took longer than --request-timeout. Send again later, or send fewer images a request.',
  ),
  not_ready: shown(
    503,
    'The server is not ready',
    'The encoder and the index are still loading. Ask /readyz, and send again when it answers 200.',
  ),
  shutting_down: shown(
    503,
    'The server is shutting down',
    'The server was told to stop. Send to another one, or again when it is back.',
  ),
  bundle_busy: shown(
    503,
    'Another bundle of the index is on its way',
    'One bundle of an index is made or taken at a time, for each needs room on its disk. Send again when that one is done.',
  ),
  // nginx's number for it; nobody is there to read the answer, the log and the metrics are.
  client_gone: shown(
    499,
    'The client closed the connection',
    'The client closed the connection before its answer. Nobody sees this but the log and the metrics.',
  ),
  worker_failed: {
    ...hidden(503, 'An inference worker failed'),
    advice: 'A process that encodes or searches ended or hung, and is being replaced. Send the image again.',
  },
  database_unreachable: {
    ...hidden(503, 'The database of the index does not answer'),
    advice:
      'The index lies in PostgreSQL, which is gone, too slow or full of other work. Send again when /readyz answers 200.',
  },
  search_incomplete: {
    ...hidden(500, 'The search found too few neighbours'),
    advice:
      'The graph of the index in PostgreSQL leads to fewer examples than there are. Whoever runs it makes it anew with REINDEX.',
  },
  reload_failed: shown(
    409,
    'The published index cannot be served',
    'What the index has published cannot be served, so the old version goes on. The detail says why; build again.',
  ),
  internal: {
    ...hidden(500, 'Internal error'),
    advice: 'A fault of the server. Its log has the cause under the id that instance names.',
  },
  usage: hidden(500, 'Invalid server options'),
  dataset_missing: hidden(500, 'The dataset is missing'),
  dataset_invalid: hidden(500, 'The dataset is invalid'),
  dataset_overlaps: hidden(500, 'The dataset overlaps the index'),
  encoder_missing: hidden(500, 'The encoder is missing'),
  encoder_invalid: hidden(500, 'The encoder gave an invalid answer'),
  encoder_mismatch: shown(
    409,
    'The index belongs to another encoder',
    'A bundle can only replace what is served where both have the same encoder. The detail names the two; start a server with the other index instead.',
  ),
  encoder_unsupported: hidden(500, 'The encoder is not supported'),
  index_missing: {
    ...hidden(500, 'The index is missing'),
    advice:
      'What was published of the index was removed from its folder. The server goes on with what it has loaded.',
  },
  index_invalid: {
    ...hidden(500, 'The index is invalid'),
    advice:
      'A file of the index is damaged or of another version. The server goes on with what it has loaded; `POST /verification` says what is wrong.',
  },
  index_changed: hidden(500, 'The index has changed meanwhile'),
  bundle_invalid: shown(
    400,
    'The bundle is invalid',
    'The body is not a bundle as `nearvote index export` and `GET /bundle` write it, whole and unchanged. The detail says what is wrong; fetch it again.',
  ),
  bundle_unreachable: hidden(500, 'The host of the bundle cannot be reached'),
  bundle_refused: hidden(500, 'The host of the bundle refuses'),
  database_unsuitable: hidden(500, 'The database cannot hold the index'),
  findings_invalid: hidden(500, 'The findings of an audit are invalid'),
  calibration_invalid: hidden(500, 'The calibration is invalid'),
  config_invalid: hidden(500, 'The training config is invalid'),
  checkpoint_invalid: hidden(500, 'The checkpoint is invalid'),
  training_diverged: hidden(500, 'The training has diverged'),
  recall_too_low: hidden(500, 'The index recall is too low'),
  output_unwritable: {
    ...hidden(507, 'The change cannot be stored'),
    advice:
      'The disk of the index is full or cannot be written: nothing was changed, and the server goes on answering. Its log has the cause.',
  },
  output_exists: hidden(500, 'The output exists already'),
  address_unavailable: hidden(500, 'The address is unavailable'),
  dependency_missing: hidden(500, 'A dependency is missing'),
  hub_unreachable: hidden(500, 'The hub of models cannot be reached'),
  hub_refused: hidden(500, 'The hub of models refuses'),
  server_unreachable: hidden(500, 'The server cannot be reached'),
  server_refused: hidden(500, 'The server refuses'),
  images_failed: hidden(500, 'Some images could not be classified'),
};

export const problemMediaType = 'application/problem+json';

/** Codes that a request can be answered with because of what was sent or the load, as the contract lists them. */
export const clientVisibleCodes: readonly ErrorCode[] = (Object.keys(problemKinds) as ErrorCode[]).filter(
  (code) => problemKinds[code].advice !== undefined,
);

/** The code of any thrown value: what is not a NearvoteError is `internal`. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof NearvoteError ? error.code : 'internal';
}

/** Any thrown value as a problem document of RFC 9457; `instance` is the request's id. */
export function toProblem(error: unknown, instance: string): Problem {
  const code = codeOf(error);
  const { status, title, detail } = problemKinds[code];
  return {
    type: `/docs#${code}`,
    title,
    status,
    ...(detail === 'shown' && error instanceof Error ? { detail: error.message } : {}),
    code,
    instance,
  };
}

/** A refused body this small is read to its end, and the connection kept. */
const cheapBodyBytes = 64 * 1024;
/** How long a client that is still sending may take to read the refusal before its socket is closed. */
const lingerMs = 1000;
/** Statuses that tell when to come back. */
const mayRetry: ReadonlySet<number> = new Set([429, 503]);

const answeredAt = new WeakMap<ServerResponse, number>();

/** When the answer was handed to the socket, `performance.now()`; a refusal may linger after that. */
export function whenAnswered(res: ServerResponse): number {
  return answeredAt.get(res) ?? performance.now();
}

/**
 * Answers with a problem document; an answer already begun is cut off instead, so that nobody takes it for whole.
 * @returns the bytes of the document
 */
export function answerProblem({ req, res }: Exchange, error: unknown, retryAfterSeconds = 1): number {
  if (res.headersSent) {
    if (!res.writableEnded) res.destroy();
    return 0;
  }
  const problem = toProblem(error, requestIdOf(res));
  const text = JSON.stringify(problem);
  const size = Buffer.byteLength(text);
  const headers = standardHeaders(res);
  headers.push('Content-Type', problemMediaType, 'Content-Length', String(size));
  if (mayRetry.has(problem.status) && !res.hasHeader('Retry-After')) {
    headers.push('Retry-After', String(retryAfterSeconds));
  }
  const lingers = req.method !== 'HEAD' && !req.complete && hasBody(req) && !isCheap(req);
  if (lingers) headers.push('Connection', 'close');
  res.writeHead(problem.status, headers);
  if (lingers) {
    answerAndLinger(req, res, text);
    return size;
  }
  res.end(text);
  if (!req.complete) req.resume();
  return size;
}

function isCheap(req: IncomingMessage): boolean {
  const announced = req.headers['content-length'];
  return announced !== undefined && Number(announced) <= cheapBodyBytes && req.headers.expect === undefined;
}

/**
 * Sends the whole answer now and closes later: closing a socket with unread data resets it, and the reset can
 * overtake the answer.
 */
function answerAndLinger(req: IncomingMessage, res: ServerResponse, text: string): void {
  res.write(text);
  answeredAt.set(res, performance.now());
  const finish = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(finish, lingerMs);
  req.once('end', finish);
  req.once('close', finish);
  req.resume();
}
