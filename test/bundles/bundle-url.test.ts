import { describe, expect, it } from 'vitest';
import { nameOfUrl, parseIndexSource, parsePointer, type PointerUrl } from '../../src/bundles/bundle-url.js';

const digest = 'a'.repeat(64);
const rules = { allowHttp: false };
const told = (text: string) => parseIndexSource(text, rules);

describe('the URL of an index', () => {
  it.each([
    [`https://host/photos-${digest}.tar#sha256:${digest}`, 'bundle', 'photos'],
    [`s3://bucket/a/b/photos.tar#sha256:${digest.toUpperCase()}`, 'bundle', 'photos'],
    [`file:///srv/my%20photos.tar#sha256:${digest}`, 'bundle', 'my photos'],
    [`http://localhost:9000/x.tar#sha256:${digest}`, 'bundle', 'x'],
    ['https://host/photos.pointer', 'pointer', 'photos'],
    ['http://127.0.0.1/photos.pointer?signature=hidden', 'pointer', 'photos'],
  ])('is read: %s', (text, kind, name) => {
    const source = told(text);
    expect(source).toMatchObject({ kind, ...(kind === 'bundle' && { sha256: digest }) });
    expect(nameOfUrl(source)).toBe(name);
    expect(source.shown).not.toMatch(/hidden|sha256:/);
  });

  it.each([
    [`https://host/photos-${digest}.tar`, `https://host/photos-${digest}.tar#sha256:${digest}`],
    ['https://host/photos.tar?signature=hidden', 'https://host/photos.tar#sha256:HEX'],
    ['https://host/photos.tar#sha256:abc', '64 hexadecimal digits'],
    ['https://me:hidden@host/photos.pointer', 'no user and password in the URL https://host/photos.pointer'],
    [`http://host/x.tar#sha256:${digest}`, '--allow-http'],
    [`http://127.0.0.1.evil.example/x.tar#sha256:${digest}`, '--allow-http'],
    [`s3://bucket#sha256:${digest}`, 's3://BUCKET/KEY'],
    [`file://srv/x.tar#sha256:${digest}`, 'three slashes'],
    ['https://', 'begins with https://'],
    ['https://host/%E0%A4.pointer?signature=hidden', 'a path that can be decoded'],
    [`s3://bucket/100%.tar#sha256:${digest}`, 'a path that can be decoded'],
    [`file:///srv/a%2Fb.tar#sha256:${digest}`, 'a path that can be decoded'],
    [`file:///srv/a%00.tar#sha256:${digest}`, 'a path that can be decoded'],
  ])('is refused, and shows no secret: %s', (text, message) => {
    expect(() => told(text)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
    expect(() => told(text)).not.toThrow(/hidden/);
  });
});

describe('a pointer', () => {
  const pointer = (text: string): PointerUrl => told(text) as PointerUrl;
  it.each([
    ['https://host/a/photos.pointer', `photos.tar#sha256:${digest}\n`, 'https://host/a/photos.tar'],
    ['https://host/a/photos.pointer', `/b/p.tar#sha256:${digest}`, 'https://host/b/p.tar'],
    ['s3://bucket/a/photos.pointer', `  ../p.tar#sha256:${digest}\r\n`, 's3://bucket/p.tar'],
    ['file:///srv/photos.pointer', `p.tar#sha256:${digest}`, 'file:///srv/p.tar'],
    ['https://host/photos.pointer', `s3://bucket/p.tar#sha256:${digest}`, 's3://bucket/p.tar'],
    ['https://host/photos.pointer', `\ufeffp.tar#sha256:${digest.toUpperCase()}`, 'https://host/p.tar'],
    ['http://127.0.0.1/photos.pointer', `http://localhost/p.tar#sha256:${digest}`, 'http://localhost/p.tar'],
    ['https://10.0.0.1/photos.pointer', `https://10.0.0.2/p.tar#sha256:${digest}`, 'https://10.0.0.2/p.tar'],
  ])('of %s that says %j names %s', (at, text, url) => {
    expect(parsePointer(text, pointer(at), rules)).toMatchObject({ url: new URL(url), sha256: digest });
  });

  it.each([
    ['', 'it is empty'],
    ['a.tar', 'but there is no #sha256:HEX'],
    [`a.tar#sha256:${digest} b.tar`, 'there is more'],
    [`http://elsewhere/a.tar#sha256:${digest}`, '--allow-http'],
    [`file:///etc/passwd#sha256:${digest}`, 'a file of this machine'],
    [`ftp://host/a.tar#sha256:${digest}`, 'begins with https://'],
    ['<html>\n<body>log in</body></html>', 'there is more'],
    [Buffer.from(`\ufeffa.tar#sha256:${digest}\n`, 'utf16le').toString(), 'Expected'],
    [`a.tar#sha256:${digest}\0`, 'there is more'],
    [`a.tar\r#sha256:${digest}`, 'there is more'],
    [`\u001b[31ma.tar?x=hidden#sha256:${digest}`, 'there is more'],
    [`https://me:hidden@host/a.tar#sha256:${digest}`, 'no user and password'],
    [`https://host/%FF.tar?x=hidden#sha256:${digest}`, 'a path that can be decoded'],
    ...[
      'localhost',
      'a.localhost.',
      '127.1',
      '0x7f000001',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '169.254.169.254',
    ].map((inner): [string, string] => [`http://${inner}/a.tar?x=hidden#sha256:${digest}`, 'this machine']),
  ])('that says %j is refused', (text, message) => {
    expect(() => parsePointer(text, pointer('https://host/photos.pointer'), rules)).toThrow(
      expect.objectContaining({
        code: 'bundle_invalid',
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
    expect(() => parsePointer(text, pointer('https://host/photos.pointer'), rules)).not.toThrow(
      /hidden|\p{Cc}/u,
    );
  });
});
