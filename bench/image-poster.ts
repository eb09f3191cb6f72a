/* The process that posts many images a request as fast as they are answered; bench/soak.ts starts it. */
import { Agent, request } from 'node:http';
import { answerParent } from './child.js';
import { drawImages, seededRandom } from './drawn-images.js';

export interface PostRequest {
  readonly serverUrl: string;
  readonly seed: number;
  readonly images: number;
  readonly perRequest: number;
  readonly connections: number;
}

export interface Posted {
  readonly images: number;
  /** Images of requests that were not answered 200. */
  readonly failed: number;
}

const types = { png: 'image/png', jpeg: 'image/jpeg', webp: 'image/webp' } as const;
const formats = ['png', 'jpeg', 'webp'] as const;
const boundary = 'nearvote-soak';
// 8 x 8: as little decoding as there can be.
const drawn = drawImages({ count: 3_000, width: 8, height: 8, formats, seed: 5 });

/** Parts of a multipart body, one an image. */
async function parts(): Promise<Buffer[]> {
  return (await drawn).map((image, i) => {
    const type = types[formats[i % formats.length] ?? 'png'];
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="images"; filename="${i}"\r\nContent-Type: ${type}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), image, Buffer.from('\r\n')]);
  });
}

answerParent(async (message) => {
  const { serverUrl, seed, images, perRequest, connections } = message as PostRequest;
  const all = await parts();
  const random = seededRandom(seed);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const end = Buffer.from(`--${boundary}--\r\n`);
  let left = images;
  let failed = 0;

  function post(body: Buffer): Promise<boolean> {
    return new Promise((resolve) => {
      const headers = {
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'content-length': body.length,
      };
      const sent = request(
        new URL('/classify', serverUrl),
        { agent, method: 'POST', headers },
        (response) => {
          response.resume().once('end', () => resolve(response.statusCode === 200));
        },
      );
      sent.once('error', () => resolve(false)).end(body);
    });
  }

  async function lane(): Promise<void> {
    while (left > 0) {
      const count = Math.min(perRequest, left);
      left -= count;
      const some = Array.from({ length: count }, () => all[Math.floor(random() * all.length)] ?? end);
      if (!(await post(Buffer.concat([...some, end])))) failed += count;
    }
  }

  await Promise.all(Array.from({ length: connections }, lane));
  agent.destroy();
  return { images, failed } satisfies Posted;
});
