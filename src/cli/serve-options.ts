import { InvalidArgumentError, Option } from 'commander';
import { levels } from 'pino';
import { defaultStaleAfter } from '../vote/calibration.js';
import { bundleOptions, type BundleFlags } from './bundle-options.js';
import {
  durationFrom,
  imageLimitOptions,
  inferenceOptions,
  integerFrom,
  pairOptions,
  parseBoolean,
  voteOptions,
} from './options.js';
import type { ImageLimitOptions, InferenceOptions, PairOptions, VoteOptions } from './options.js';

export interface ServeFlags
  extends Omit<PairOptions, 'index'>, InferenceOptions, VoteOptions, ImageLimitOptions, BundleFlags {
  /** As they were told, `name=folder`, `folder` or a URL; those of the environment in one, with commas between. */
  readonly index?: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly maxQueue: number;
  readonly maxInflightBytes: number;
  /** In milliseconds. */
  readonly requestTimeout: number;
  /** In milliseconds. */
  readonly writeTimeout: number;
  readonly maxK: number;
  readonly maxNeighbours: number;
  readonly allowedHosts?: readonly string[];
  readonly maxConnections: number;
  readonly apiKeysFile?: string;
  readonly adminKeyFile?: string;
  readonly rateLimit?: number;
  readonly trustProxy: number;
  readonly maxImages: number;
  readonly maxBodyBytes: number;
  readonly exposeSources: boolean;
  readonly decisionLog?: string;
  readonly keepImages?: number;
  /** In milliseconds. */
  readonly keepImagesFor: number;
  readonly review: boolean;
  readonly reviewBelow: number;
  readonly staleAfter: number;
  readonly logFile?: string;
  readonly logLevel: string;
  /** In milliseconds, as are `drain` and `grace`. */
  readonly workerDeadline: number;
  readonly drain: number;
  readonly grace: number;
}

/** The options of `nearvote serve`, each also an environment variable. */
export function serveOptions(): Option[] {
  return [
    new Option('--host <host>', 'address to listen on; 0.0.0.0 for every interface')
      .argParser(parseHost)
      .default('127.0.0.1')
      .env('NEARVOTE_HOST'),
    new Option('-p, --port <n>', 'port to listen on; 0 for any that is free')
      .argParser(parsePort)
      .default(8080)
      .env('NEARVOTE_PORT'),
    ...pairOptions(
      new Option(
        '--index <dir>',
        'folder of an index, NAME=FOLDER, or the URL of a bundle (https, s3, file; …#sha256:HEX) or of a pointer to one (….pointer); given once for each index, the first is the default and ?index=NAME asks another; the variable has commas between (default: the only one of your own in ./index; the shipped index/cifar10 where you have none)',
      )
        .argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value])
        .env('NEARVOTE_INDEX'),
    ),
    ...bundleOptions(),
    ...inferenceOptions(),
    whole(
      '--max-queue <n>',
      'most images that are read, decoded or classified at once; more are answered 429',
      256,
    ).env('NEARVOTE_MAX_QUEUE'),
    whole(
      '--max-inflight-bytes <n>',
      'most bytes of request bodies and unread answers held at once; more are answered 429',
      256_000_000,
    ).env('NEARVOTE_MAX_INFLIGHT_BYTES'),
    new Option(
      '--request-timeout <duration>',
      'longest time from the headers of an image request to its answer, which is 503 after that',
    )
      .argParser(durationFrom(1))
      .default(10_000, '10s')
      .env('NEARVOTE_REQUEST_TIMEOUT'),
    new Option(
      '--write-timeout <duration>',
      'a client that reads nothing of its answer for this long is cut off',
    )
      .argParser(durationFrom(1))
      .default(30_000, '30s')
      .env('NEARVOTE_WRITE_TIMEOUT'),
    ...voteOptions(),
    whole('--max-k <n>', 'largest k that a request may ask for', 1_000).env('NEARVOTE_MAX_K'),
    whole('--max-neighbours <n>', 'most neighbours that an answer shows', 100).env('NEARVOTE_MAX_NEIGHBOURS'),
    new Option(
      '--allowed-hosts <hosts>',
      'hosts that requests may name, with commas between, or * for any (default: on a loopback address without keys its own, elsewhere any)',
    )
      .argParser((value) => value.split(',').map((host) => host.trim().toLowerCase()))
      .env('NEARVOTE_ALLOWED_HOSTS'),
    ...imageLimitOptions(),
    whole('--max-images <n>', 'most images in one request', 64).env('NEARVOTE_MAX_IMAGES'),
    whole('--max-body-bytes <n>', 'largest request body, in bytes', 64_000_000).env(
      'NEARVOTE_MAX_BODY_BYTES',
    ),
    whole('--max-connections <n>', 'open connections; more are closed at once', 10_000).env(
      'NEARVOTE_MAX_CONNECTIONS',
    ),
    new Option(
      '--api-keys-file <file>',
      'file of the keys that open /classify and /embed, one on each line; or NEARVOTE_API_KEYS, with commas between',
    ).env('NEARVOTE_API_KEYS_FILE'),
    new Option(
      '--admin-key-file <file>',
      'file of the key that opens /admin/reload and all that teaches and corrects an index; or NEARVOTE_ADMIN_KEY; without a key those routes do not exist',
    ).env('NEARVOTE_ADMIN_KEY_FILE'),
    new Option('--rate-limit <n>', 'most requests a minute from one key or address; more are answered 429')
      .argParser(integerFrom(1))
      .env('NEARVOTE_RATE_LIMIT'),
    new Option('--trust-proxy <n>', 'number of proxies in front whose X-Forwarded-For is believed')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_TRUST_PROXY'),
    // With a value, because a variable that is set to false has to mean no.
    new Option('--expose-sources [boolean]', "show the path of a neighbour's image in its dataset")
      .argParser(parseBoolean)
      .preset('true')
      .default(false)
      .env('NEARVOTE_EXPOSE_SOURCES'),
    new Option(
      '--decision-log <file>',
      'append a JSON line for each decision to this file, which is rotated at 64 MB; five are kept',
    ).env('NEARVOTE_DECISION_LOG'),
    new Option(
      '--keep-images <n>',
      'keep so many decisions of each index with their images, so that POST /feedback can correct them (default: none)',
    )
      .argParser(integerFrom(1))
      .env('NEARVOTE_KEEP_IMAGES'),
    new Option('--keep-images-for <duration>', 'how long a decision is kept at most')
      .argParser(durationFrom(1))
      .default(7 * 86_400_000, '7d')
      .env('NEARVOTE_KEEP_IMAGES_FOR'),
    new Option('--review [boolean]', 'list the kept decisions that are unknown or unsure at GET /review')
      .argParser(parseBoolean)
      .preset('true')
      .default(false)
      .env('NEARVOTE_REVIEW'),
    new Option('--review-below <confidence>', 'a known image with a lower confidence is listed too, 0 to 1')
      .argParser(parseShare)
      .default(0.8)
      .env('NEARVOTE_REVIEW_BELOW'),
    new Option(
      '--stale-after <share>',
      'a calibration is stale once more than this share of the examples was changed, 0 to 1',
    )
      .argParser(parseShare)
      .default(defaultStaleAfter)
      .env('NEARVOTE_STALE_AFTER'),
    new Option(
      '--log-file <file>',
      'write the log to this file instead of stderr; SIGHUP opens it again',
    ).env('NEARVOTE_LOG_FILE'),
    new Option('--log-level <level>', 'what is logged; info has a line for each request')
      .choices([...Object.values(levels.labels), 'silent'])
      .default('info')
      .env('NEARVOTE_LOG_LEVEL'),
    new Option(
      '--worker-deadline <duration>',
      'a worker or a search that takes longer than this is killed and replaced',
    )
      .argParser(durationFrom(1))
      .default(30_000, '30s')
      .env('NEARVOTE_WORKER_DEADLINE'),
    new Option(
      '--drain <duration>',
      'how long after SIGTERM new connections are still taken, while /readyz answers 503',
    )
      .argParser(durationFrom(0))
      .default(250, '250ms')
      .env('NEARVOTE_DRAIN'),
    new Option(
      '--grace <duration>',
      'how long after SIGTERM it exits at the latest, with code 1 where it cut requests off',
    )
      .argParser(durationFrom(1))
      .default(10_000, '10s')
      .env('NEARVOTE_GRACE'),
  ];
}

function whole(flags: string, description: string, value: number): Option {
  return new Option(flags, description).argParser(integerFrom(1)).default(value);
}

function parsePort(value: string): number {
  const port = integerFrom(0)(value);
  if (port > 65_535) throw new InvalidArgumentError('Expected a port from 0 to 65535.');
  return port;
}

function parseShare(value: string): number {
  const share = value.trim() === '' ? NaN : Number(value);
  if (!(share >= 0 && share <= 1)) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return share;
}

/** An empty one would listen on every interface. */
function parseHost(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('Expected an address or a host name.');
  return value;
}
