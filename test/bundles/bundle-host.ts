import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Fault = (req: IncomingMessage, res: ServerResponse, content: Buffer) => void;

/** A web server with files, which answers as those do: ranges and etags, and faults where the test says. */
export interface BundleHost {
  readonly url: string;
  readonly files: Map<string, Buffer>;
  /** How one path is answered instead. */
  readonly faults: Map<string, Fault>;
  /** `PATH`, or `PATH from N` for a range, in the order asked. */
  readonly asked: string[];
  close(): Promise<void>;
}

export async function openBundleHost(): Promise<BundleHost> {
  const files = new Map<string, Buffer>();
  const faults = new Map<string, Fault>();
  const asked: string[] = [];
  const server = createServer((req, res) => {
    const path = new URL(req.url ?? '/', 'http://host').pathname;
    const from = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? '')?.[1] ?? 0);
    asked.push(from > 0 ? `${path} from ${from}` : path);
    const content = files.get(path);
    const fault = faults.get(path);
    if (fault !== undefined) return fault(req, res, content ?? Buffer.alloc(0));
    if (content === undefined) return void res.writeHead(404).end();
    const etag = `"${sha256Of(content).slice(0, 16)}"`;
    res.setHeader('etag', etag);
    if (req.headers['if-none-match'] === etag) return void res.writeHead(304).end();
    if (from > 0 && from >= content.length) return void res.writeHead(416).end();
    const rest = content.subarray(from);
    const range = { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` };
    res.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...(from > 0 && range) });
    res.end(rest);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...{ files, faults, asked },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** The first half, and then the connection is reset. */
export const cutOff: Fault = (req, res, content) => {
  const from = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? '')?.[1] ?? 0);
  const rest = content.subarray(from);
  const range = { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` };
  res.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...(from > 0 && range) });
  res.write(rest.subarray(0, Math.ceil(rest.length / 2)), () => res.destroy());
};

/** A few bytes, and then nothing. */
export const stall: Fault = (_req, res, content) => {
  res.writeHead(200, { 'content-length': content.length });
  res.write(content.subarray(0, 10));
};

/** Bytes for ever. */
export const endless: Fault = (_req, res) => {
  res.writeHead(200);
  const piece = Buffer.alloc(65_536, 1);
  const more = (): void => {
    while (!res.destroyed && res.write(piece));
    res.once('drain', more);
  };
  more();
};
