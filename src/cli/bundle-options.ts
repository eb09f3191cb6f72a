import { InvalidArgumentError, Option } from 'commander';
import { defaultCacheDir } from '../bundles/cache.js';
import { durationFrom, integerFrom, parseBoolean } from './options.js';

/** How bundles, and the encoders they need, are fetched. */
export interface BundleFlags {
  readonly cacheDir: string;
  readonly pollSeconds: number;
  /** URLs of encoders, each with the sha256 of its encoder.json. */
  readonly encoder?: readonly string[];
  readonly allowHttp: boolean;
  /** In milliseconds. */
  readonly fetchTimeout: number;
  /** Of one that is fetched, and of one that POST /bundle takes. */
  readonly maxBundleBytes: number;
  readonly s3PathStyle: boolean;
}

export function bundleOptions(): Option[] {
  return [
    new Option(
      '--cache-dir <dir>',
      'folder of bundles that were fetched: of each index the one that is served and the one before',
    )
      .default(defaultCacheDir())
      .env('NEARVOTE_CACHE_DIR'),
    new Option('--poll-seconds <n>', 'how often a pointer is looked at')
      .argParser(parseSeconds)
      .default(30)
      .env('NEARVOTE_POLL_SECONDS'),
    new Option(
      '--encoder <url>',
      'encoder.json of an encoder that a bundle may need, its model file beside it: https://…/encoder.json#sha256:HEX; given once for each, where neither the bundle nor --models has it',
    )
      .argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value])
      .env('NEARVOTE_ENCODER'),
    new Option('--allow-http [boolean]', 'fetch by http from other machines too')
      .argParser(parseBoolean)
      .preset('true')
      .default(false)
      .env('NEARVOTE_ALLOW_HTTP'),
    new Option('--fetch-timeout <duration>', 'a host that gives next to nothing for so long is given up')
      .argParser(durationFrom(1))
      .default(30_000, '30s')
      .env('NEARVOTE_FETCH_TIMEOUT'),
    new Option(
      '--max-bundle-bytes <n>',
      'largest bundle that is fetched or that POST /bundle takes, in bytes',
    )
      .argParser(integerFrom(1))
      .default(4_000_000_000)
      .env('NEARVOTE_MAX_BUNDLE_BYTES'),
    new Option('--s3-path-style [boolean]', 'name the bucket in the path, as servers other than AWS may want')
      .argParser(parseBoolean)
      .preset('true')
      .default(false)
      .env('NEARVOTE_S3_PATH_STYLE'),
  ];
}

function parseSeconds(value: string): number {
  const seconds = value.trim() === '' ? NaN : Number(value);
  if (!(seconds >= 0.1 && seconds <= 86_400)) {
    throw new InvalidArgumentError('Expected a number of seconds from 0.1 to 86400.');
  }
  return seconds;
}
