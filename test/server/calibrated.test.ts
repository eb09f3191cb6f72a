import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decisionSchema, type DecisionBody } from '../../src/server/schemas.js';
import type { Calibration } from '../../src/vote/calibration.js';
import { aCalibration } from '../examples/a-calibration.js';
import { createColourClassifier, drawColour } from './colour-classifier.js';
import { startTestServer, type TestServer } from './test-server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer({ classifier: createColourClassifier(aCalibration()) });
});
afterEach(() => server.close());

async function classify(colour: string, query = ''): Promise<DecisionBody> {
  const answer = await server.ask(`/classify${query}`, {
    method: 'POST',
    headers: { 'content-type': 'image/png' },
    body: await drawColour(colour),
  });
  expect(answer.status).toBe(200);
  return decisionSchema.parse(answer.body);
}

describe('an answer with the label none', () => {
  const greenIsNone = (colour: string): string => (colour === 'green' ? 'none' : colour);
  const serve = async (calibration?: Calibration): Promise<void> => {
    await server.close();
    server = await startTestServer({
      classifier: createColourClassifier(calibration, 'colours', greenIsNone),
    });
  };

  it('is unknown, with and without a calibration, and other labels are known', async () => {
    await serve(aCalibration());
    expect(await classify('lime')).toMatchObject({ label: 'none', outcome: 'unknown', pValue: 1 });
    expect(await classify('lime', '?k=10')).toMatchObject({ label: 'none', outcome: 'unknown' });
    expect(await classify('red')).toMatchObject({ label: 'red', outcome: 'known' });
    await serve();
    expect(await classify('lime')).toMatchObject({
      ...{ label: 'none', outcome: 'unknown', calibrated: false },
      scores: [{ label: 'none' }, {}],
    });
    expect(await classify('red')).toMatchObject({ label: 'red', outcome: 'known' });
  });

  it('counts as unknown in the metrics', async () => {
    await serve();
    await classify('lime');
    const { text } = await server.ask('/metrics');
    expect(text).toMatch(/nearvote_predictions_total\{index="colours",label="\w+",outcome="unknown"\} 1/);
  });
});

describe('a calibrated answer', () => {
  it("has the calibration's vote, the probability that the label is right, and a p-value", async () => {
    // All ten votes for red, a share of 1; the tenth neighbour is nearer than any of the nine.
    expect(await classify('red')).toMatchObject({
      label: 'red',
      outcome: 'known',
      confidence: 0.75,
      calibrated: true,
      pValue: 1,
      scores: [{ label: 'red', score: 1 }],
    });
  });

  it('is unknown for an image like none, with the label, scores and neighbours that came nearest', async () => {
    // Black has no direction: similarity 0 to all, less familiar than the nine, p = 1 / 10 < 0.25.
    const decision = await classify('black');
    expect(decision).toMatchObject({ outcome: 'unknown', pValue: 0.1, calibrated: true });
    expect(decision.scores).not.toEqual([]);
    expect(decision.neighbours).toHaveLength(5);
    const text = (await server.ask('/metrics')).text;
    expect(text).toContain(
      `nearvote_predictions_total{index="colours",label="${decision.label}",outcome="unknown"} 1`,
    );
  });

  it('is not called calibrated where the confidence is still the share of the vote, but may be unknown', async () => {
    const calibration = aCalibration({ confidence: { kind: 'share' } });
    await server.close();
    server = await startTestServer({ classifier: createColourClassifier(calibration) });
    const decision = await classify('black');
    expect(decision).toMatchObject({ outcome: 'unknown', pValue: 0.1, calibrated: false });
    expect(decision.confidence).toBe(decision.scores[0]?.score);
  });

  it.each(['?k=10', '?vote=majority'])('is none for a request with %s of its own', async (query) => {
    const decision = await classify('black', query);
    expect(decision).toMatchObject({ outcome: 'known', calibrated: false });
    expect(decision).not.toHaveProperty('pValue');
    expect(decision.confidence).toBe(decision.scores[0]?.score);
  });

  it('has its fields in the order of any other answer', async () => {
    const keysOf = async (query: string): Promise<string[]> => {
      const headers = { 'content-type': 'image/png' };
      const body = await drawColour('red');
      const answer = await server.ask(`/classify${query}`, { method: 'POST', headers, body });
      return Object.keys(answer.body as object);
    };
    const calibrated = await keysOf('');
    expect(calibrated.slice(0, 6)).toEqual(['id', 'label', 'confidence', 'pValue', 'outcome', 'calibrated']);
    expect(await keysOf('?k=10')).toEqual(calibrated.filter((key) => key !== 'pValue'));
  });

  it('shows as many neighbours as its k, and no more', async () => {
    expect((await classify('red', '?neighbours=10')).neighbours).toHaveLength(10);
    const answer = await server.ask('/classify?neighbours=11', {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: await drawColour('red'),
    });
    expect(answer.body).toMatchObject({ code: 'query_invalid' });
  });
});
