import { afterAll, expect, it } from 'vitest';
import { startCollector } from '../server/collector.js';
import { createWorkplace, spawnServed } from './served.js';

const workplace = await createWorkplace();
const collector = await startCollector();
afterAll(() => collector.close());

it('a server that is told to stop sends the spans that it still has, and exits 0', async () => {
  // Left to itself it would send them after ten minutes.
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '600000' };
  const served = await spawnServed(workplace, { env });
  const answer = await served.classify();
  expect(answer.status).toBe(200);
  const [, traceId] = (answer.headers.get('traceresponse') ?? '').split('-');
  expect(collector.spans).toEqual([]);
  served.child.kill('SIGTERM');
  expect(await served.exited).toEqual([0, null]);
  const names = collector.spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
  expect(names.sort()).toEqual(['POST /classify', 'decode', 'encode', 'queue', 'search', 'vote']);
});
