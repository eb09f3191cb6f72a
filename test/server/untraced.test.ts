import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { NearvoteError } from '../../src/domain/errors.js';
import { openTracing } from '../../src/server/tracing.js';
import { root } from '../cli/nearvote.js';
import { drawColour } from './colour-classifier.js';
import { startTestServer, type TestServer } from './test-server.js';

const options = { logger: { warn: () => undefined }, version: '1' };
let server: TestServer | undefined;
afterAll(() => server?.close());

/** Files of OpenTelemetry that the program loads, all that `serve` needs included, in a process of its own. */
function loadedWith(env: Readonly<Record<string, string>>): string[] {
  const script = `
    import { createRequire } from 'node:module';
    import { openTracing } from './dist/server/tracing.js';
    await import('./dist/cli/serve.js');
    await openTracing({ logger: { warn() {} }, version: '1' });
    // prom-client loads the API, which does nothing by itself.
    const files = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify(files.filter((file) => /@opentelemetry.(?!api.)/.test(file))));
    process.exit();`;
  const args = ['--input-type=module', '-e', script];
  const said = execFileSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return JSON.parse(said) as string[];
}

it('nothing of OpenTelemetry is loaded unless the environment asks for traces', () => {
  expect(loadedWith({})).toEqual([]);
  expect(loadedWith({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })).not.toEqual([]);
});

it('without being asked for, or where it is turned off, there is no tracing, and no answer or line says anything of it', async () => {
  for (const env of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { OTEL_SERVICE_NAME: 'parts' },
    { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' },
    { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' },
  ])
    expect(await openTracing(options, env)).toBeUndefined();
  server = await startTestServer();
  const headers = { 'content-type': 'image/png', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
  const answer = await server.ask('/classify', { method: 'POST', headers, body: await drawColour('red') });
  expect(answer.status).toBe(200);
  expect(answer.headers.has('traceresponse')).toBe(false);
  expect(server.logged.join('')).not.toContain('traceId');
});

it('without its packages the server says what to install', async () => {
  const bare = await mkdtemp(join(tmpdir(), 'nearvote-bare-'));
  for (const part of ['server/tracing.js', 'server/open-telemetry.js', 'domain'])
    await cp(join(root, 'dist', part), join(bare, part), { recursive: true });
  await writeFile(join(bare, 'package.json'), '{"type":"module"}');
  const script = `
    import { openTracing } from './server/tracing.js';
    await openTracing({}).catch(({ code, message }) => console.log(code, message));`;
  const env = { ...process.env, OTEL_TRACES_EXPORTER: 'otlp' };
  const args = ['--input-type=module', '-e', script];
  expect(execFileSync(process.execPath, args, { cwd: bare, env, encoding: 'utf8' })).toMatch(
    /^dependency_missing Expected OpenTelemetry, which OTEL_TRACES_EXPORTER asks for, but it is not installed: npm install @opentelemetry\/api .*exporter-trace-otlp-http/,
  );
  await rm(bare, { recursive: true });
});

it('what cannot be done is said at the start, and not by traces that never come', async () => {
  for (const [env, message] of [
    [
      { OTEL_TRACES_EXPORTER: 'zipkin' },
      'Expected OTEL_TRACES_EXPORTER to be otlp or none but received zipkin',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      'Expected OTEL_EXPORTER_OTLP_ENDPOINT to be an address as http://collector.example:4318 but it is none',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      'Expected OTEL_EXPORTER_OTLP_PROTOCOL to be http/json, which collectors take on port 4318, but received grpc',
    ],
  ] as const)
    await expect(openTracing(options, env)).rejects.toThrow(new NearvoteError('usage', message));
});
