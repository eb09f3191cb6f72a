import { NearvoteError } from '../domain/errors.js';
import { shownOf, type UrlRules } from './bundle-url.js';

export interface ReadOptions extends UrlRules {
  /** The first byte that is wanted; a host may begin before it all the same. */
  readonly from?: number | undefined;
  /** Of what is here already. */
  readonly etag?: string | undefined;
  readonly signal: AbortSignal;
  /** Whether the bucket of an s3 URL is in the path, not in the host. */
  readonly s3PathStyle: boolean;
}

/** What lies at a URL, as it comes. */
export type Reading =
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'content';
      /** Of its first byte. */
      readonly start: number;
      /** Of the whole, where the host says. */
      readonly bytes: number | undefined;
      readonly etag: string | undefined;
      readonly content: AsyncIterable<Uint8Array>;
    };

/** @returns `bundle_refused` for what the next try would not change */
export function refusal(url: URL, status: number): NearvoteError {
  const isFinal = status >= 300 && status < 500 && ![408, 416, 425, 429].includes(status);
  const why = status === 404 || status === 410 ? `there is none (${status})` : `received status ${status}`;
  return new NearvoteError(
    isFinal ? 'bundle_refused' : 'bundle_unreachable',
    `Expected a file at ${shownOf(url)} but ${why}`,
  );
}
