import { figure, type Figures } from './figures.js';

/** What is asked of the server, and what came of it. */
export interface Bar {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  readonly reached: boolean;
}

const atMost = (what: string, value: number, most: number, unit: string, digits = 2): Bar => ({
  what,
  bar: `<= ${most.toFixed(digits)} ${unit}`.trim(),
  measured: `${value.toFixed(digits)} ${unit}`.trim(),
  reached: value <= most,
});

const atLeast = (what: string, value: number, least: number): Bar => ({
  what,
  bar: `>= ${least.toFixed(2)}`,
  measured: value.toFixed(2),
  reached: value >= least,
});

/** CPU of the server for an image, less what its encoder and decoder cost alone, in core-ms. */
export function serverOwnCoreMs(figures: Figures): number {
  const of = (name: string): number => figure(figures, name);
  return of('closed 32: server core-ms') - of('encoder alone: core-ms') - of('decode alone: core-ms');
}

/** The p99 of what is accepted at 200 % has no bar; the main table has it. */
export function bars(figures: Figures): Bar[] {
  const of = (name: string): number => figure(figures, name);
  const unloaded = of('closed 1: p50 ms');
  const bad = of('open 200: lost') + of('open 200: 5xx') + of('open 200: other answers');
  const probes = ['/metrics', '/healthz', '/readyz'];
  const added = probes.map((route) => of(`${route} under load: p99 ms`) - of(`${route} idle: p99 ms`));
  return [
    atLeast(
      'closed loop, 32 connections, against the encoder alone',
      of('closed 32: of the encoder alone'),
      0.78,
    ),
    atMost('server CPU an image, less encoder and decoder alone', serverOwnCoreMs(figures), 0.35, 'core-ms'),
    atMost('p99 at 70 % load against the unloaded p50', of('open 70: p99 ms') / unloaded, 12, 'x'),
    atLeast('200 % overload: goodput against the saturated rate', of('open 200: goodput ratio'), 0.9),
    atMost('200 % overload: neither 200 nor 429, or lost', bad, 0, '', 0),
    atMost('event-loop delay p99 under full load', of('closed 32: event-loop p99 ms'), 20, 'ms', 1),
    ...probes.map((route, i) =>
      atMost(`added p99 of ${route} under full load`, added[i] ?? NaN, 50, 'ms', 1),
    ),
  ];
}
