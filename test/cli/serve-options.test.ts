import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { serveCommand } from '../../src/cli/serve.js';
import { serveOptions, type ServeFlags } from '../../src/cli/serve-options.js';

afterEach(() => vi.unstubAllEnvs());

function parse(...argv: string[]): ServeFlags {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const option of serveOptions()) command.addOption(option);
  return command.parse(argv, { from: 'user' }).opts<ServeFlags>();
}

describe('the options of serve', () => {
  it('have the defaults that the documentation states', () => {
    // No index is told: which one is found, test/journeys/own-photos.test.ts tries.
    expect(parse()).not.toHaveProperty('index');
    expect(parse()).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      models: 'models',
      workers: availableParallelism(),
      maxQueue: 256,
      k: 20,
      vote: 'softmax',
      temperature: 0.07,
      maxImageBytes: 10_000_000,
      maxImages: 64,
      maxBundleBytes: 4_000_000_000,
      exposeSources: false,
      logLevel: 'info',
      grace: 10_000,
    });
  });

  it('ask for no more processes, threads and images in a batch than a machine could have', () => {
    expect(() => parse('--workers', '1e9')).toThrow('Expected a whole number from 1 to 256');
    expect(() => parse('--threads', '257')).toThrow('Expected a whole number from 1 to 256');
    expect(() => parse('--max-batch', '5000')).toThrow('Expected a whole number from 1 to 1024');
    expect(parse('--workers', '256')).toMatchObject({ workers: 256 });
  });

  it('are each an environment variable too, which the command line overrides', () => {
    for (const option of serveOptions()) {
      expect(option.envVar).toBe(`NEARVOTE_${option.name().toUpperCase().replaceAll('-', '_')}`);
    }
    vi.stubEnv('NEARVOTE_HOST', '0.0.0.0');
    vi.stubEnv('NEARVOTE_PORT', '9000');
    expect(parse()).toMatchObject({ host: '0.0.0.0', port: 9000 });
    expect(parse('--port', '0')).toMatchObject({ host: '0.0.0.0', port: 0 });
  });

  it('refuse an empty host from the environment: it would mean every interface', () => {
    vi.stubEnv('NEARVOTE_HOST', '');
    expect(() => parse()).toThrow(/host/);
  });

  it('expose sources when told to, and not when a variable says false', () => {
    expect(parse('--expose-sources').exposeSources).toBe(true);
    vi.stubEnv('NEARVOTE_EXPOSE_SOURCES', 'true');
    expect(parse().exposeSources).toBe(true);
    vi.stubEnv('NEARVOTE_EXPOSE_SOURCES', 'false');
    expect(parse().exposeSources).toBe(false);
  });

  it('take durations with and without a unit', () => {
    const graceOf = (text: string): number => parse('--grace', text).grace;
    expect(['500ms', '7s', '2m', '3'].map(graceOf)).toEqual([500, 7000, 120_000, 3000]);
    expect(parse('--drain', '0').drain).toBe(0);
  });

  const durations = [
    '--fetch-timeout',
    '--request-timeout',
    '--write-timeout',
    '--keep-images-for',
    '--worker-deadline',
    '--drain',
    '--grace',
  ];

  it('that are durations are these', () => {
    const flags = serveOptions().filter(({ flags }) => flags.includes('<duration>'));
    expect(flags.map(({ long }) => long)).toEqual(durations);
  });

  it.each(durations)('take no %s that is no duration, or longer than a timer can wait for', (flag) => {
    const valueOf = (text: string): unknown => Object.values(parse(flag, text));
    for (const text of ['soon', '', '-1', '25d']) expect(() => valueOf(text), text).toThrow();
    expect(valueOf('3d')).toContain(3 * 86_400_000);
    if (flag !== '--drain') expect(() => valueOf('0')).toThrow();
  });

  it.each([
    ['--port', '65536'],
    ['--port', '-1'],
    ['--port', 'http'],
    ['--vote', 'loudest'],
    ['--host', ''],
    ['--drain', '9'.repeat(400)],
    ['--request-timeout', '0ms'],
    ['--expose-sources', 'perhaps'],
    ['--max-images', '0'],
    ['--k', '1.5'],
    ['--temperature', '0'],
    ['--log-level', 'loud'],
    ['--nonsense'],
  ])('refuse %s %s', (...argv) => {
    expect(() => parse(...argv)).toThrow();
  });

  it('are all in the help, with an example', () => {
    let help = '';
    const command = serveCommand().configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    for (const option of serveOptions()) expect(help).toContain(option.envVar);
    expect(help).toContain('$ nearvote serve --index');
  });
});
