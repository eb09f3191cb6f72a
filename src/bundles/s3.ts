import type * as S3 from '@aws-sdk/client-s3';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { refusal, type Reading, type ReadOptions } from './reading.js';

type Module = typeof S3;

/** Where it is not installed, this says what to do. @throws NearvoteError `dependency_missing` */
async function loadS3(): Promise<Module> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (cause) {
    if (systemCodeOf(cause) !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new NearvoteError(
      'dependency_missing',
      'Expected @aws-sdk/client-s3 for an s3 URL but it is not installed: npm install @aws-sdk/client-s3',
      { cause },
    );
  }
}

const clients = new Map<boolean, Promise<{ readonly sdk: Module; readonly client: S3.S3Client }>>();

/** Region, credentials and endpoint come from where the AWS tools have them; one client, as they are asked for at each poll. */
function clientOf(forcePathStyle: boolean): ReturnType<typeof openClient> {
  const open = clients.get(forcePathStyle) ?? openClient(forcePathStyle);
  // A start that fails may be otherwise the next time.
  open.catch(() => clients.delete(forcePathStyle));
  clients.set(forcePathStyle, open);
  return open;
}

async function openClient(forcePathStyle: boolean): Promise<{ sdk: Module; client: S3.S3Client }> {
  const sdk = await loadS3();
  // Whoever downloads tries again, and knows how far it came.
  return { sdk, client: new sdk.S3Client({ forcePathStyle, maxAttempts: 1 }) };
}

/**
 * Opens an object of S3, or of what speaks its protocol at AWS_ENDPOINT_URL.
 * @throws NearvoteError `bundle_refused`, `bundle_unreachable`, `dependency_missing`, and the client's own error
 */
export async function readS3(url: URL, options: ReadOptions): Promise<Reading> {
  const { from = 0, etag, signal, s3PathStyle } = options;
  const { sdk, client } = await clientOf(s3PathStyle);
  const command = new sdk.GetObjectCommand({
    Bucket: url.host,
    Key: decodeURIComponent(url.pathname.slice(1)),
    ...(from > 0 && { Range: `bytes=${from}-` }),
    ...(etag !== undefined && { IfNoneMatch: etag }),
  });
  try {
    const { Body, ContentLength, ContentRange, ETag } = await client.send(command, { abortSignal: signal });
    const start = ContentRange === undefined ? 0 : from;
    return {
      ...{ kind: 'content', start, etag: ETag },
      bytes: ContentLength === undefined ? undefined : start + ContentLength,
      content: (Body ?? []) as AsyncIterable<Uint8Array>,
    };
  } catch (error) {
    if (!(error instanceof sdk.S3ServiceException)) throw error;
    const { httpStatusCode: status } = error.$metadata;
    if (status === 304 && etag !== undefined) return { kind: 'unchanged' };
    if (status === 416 && from > 0) return readS3(url, { ...options, from: 0 });
    throw status === undefined ? error : refusal(url, status);
  }
}
