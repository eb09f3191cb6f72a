import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encoderCommand } from '../../src/cli/encoder.js';
import { encodeModel } from '../../src/onnx/model.js';
import { expectByHand, foreignModel } from '../encoder/add/foreign-network.js';
import { emptyFolder } from '../encoder/folder.js';

const shipped = fileURLToPath(new URL('../../models/cifar10-compact', import.meta.url));
const required = ['--size', '6x4', '--mean', '0.5,0.25,0.75', '--std', '0.5,0.25,0.2', '--layout', 'nchw'];

describe('nearvote encoder', () => {
  let printed: string[];
  beforeEach(() => {
    printed = [];
    vi.spyOn(console, 'log').mockImplementation((line: unknown) => void printed.push(String(line)));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  async function run(...argv: string[]): Promise<string> {
    const command = encoderCommand();
    for (const one of [command, ...command.commands]) {
      one
        .exitOverride()
        .configureOutput({ writeErr: () => undefined, writeOut: (text) => void printed.push(text) });
    }
    await command.parseAsync(argv, { from: 'user' });
    return printed.join('\n');
  }

  async function foreignFile(): Promise<{ dir: string; path: string; out: string }> {
    const dir = await emptyFolder();
    const path = join(dir, 'a network (v2).onnx');
    await writeFile(path, encodeModel(foreignModel({ features: 'tokens' })));
    return { dir, path, out: join(dir, 'models', 'foreign') };
  }

  it('adds an encoder with what its options say and prints its manifest', async () => {
    const { dir, path, out } = await foreignFile();
    const others = [
      '--token',
      'mean',
      '--licence',
      'MIT',
      '--trained-on',
      'one, two',
      '--kernel',
      'lanczos3',
      '--json',
    ];
    const manifest: unknown = JSON.parse(await run('add', path, ...required, ...others, '--out', out));
    expect(manifest).toMatchObject({
      name: 'foreign',
      version: '1.0.0',
      input: {
        width: 6,
        height: 4,
        geometry: { resize: { width: 6, height: 4 }, fit: 'cover', kernel: 'lanczos3' },
      },
      trainedOn: ['one', 'two'],
      licence: 'MIT',
    });
    await expectByHand(dir);
  });

  it.each([
    [[], { resize: { width: 6, height: 4 }, fit: 'cover', kernel: 'cubic' }],
    [['--fit', 'fill'], { resize: { width: 6, height: 4 }, fit: 'fill', kernel: 'cubic' }],
    [['--fit', 'contain'], { resize: { width: 6, height: 4 }, fit: 'contain', kernel: 'cubic' }],
    [['--resize', '8'], { resize: { shortestEdge: 8 }, crop: { width: 6, height: 4 }, kernel: 'cubic' }],
    [['--crop-pct', '0.6'], { resize: { shortestEdge: 6 }, crop: { width: 6, height: 4 }, kernel: 'cubic' }],
  ])('adds an encoder whose images go the way that %j says', async (options, geometry) => {
    const { path, out } = await foreignFile();
    const argv = ['add', path, ...required, '--token', 'mean', ...options, '--out', out, '--json'];
    expect(JSON.parse(await run(...argv))).toMatchObject({ input: { width: 6, height: 4, geometry } });
  });

  it.each([
    [['--fit', 'fill', '--resize', '8'], 'Expected one of --fit and --resize, not both'],
    [['--resize', '5'], 'Expected a shorter edge of at least --size'],
    [['--crop-pct', '1.5'], 'Expected a shorter edge of at least --size'],
  ])('refuses %j', async (options, message) => {
    const { path, out } = await foreignFile();
    const argv = ['add', path, ...required, '--token', 'mean', ...options, '--out', out];
    await expect(run(...argv)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message) as string,
    });
  });

  it('takes every option from the environment too', async () => {
    const { dir, path, out } = await foreignFile();
    const variables = {
      SIZE: '6x4',
      MEAN: '0.5,0.25,0.75',
      STD: '0.5,0.25,0.2',
      LAYOUT: 'nchw',
      TOKEN: 'cls',
      NAME: 'from-env',
      OUT: out,
    };
    for (const [key, value] of Object.entries(variables)) vi.stubEnv(`NEARVOTE_ENCODER_${key}`, value);
    expect(await run('add', path)).toContain('from-env 1.0.0');
    await expectByHand(dir, { take: 'first' });
  });

  it('names in --help every option with its variable, and an example', async () => {
    const error = await run('add', '--help').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'commander.helpDisplayed' });
    const help = printed.join('');
    const options = help.match(/^ {2}--[a-z-]+/gm) ?? [];
    expect(options.length).toBeGreaterThan(14);
    expect(help.match(/NEARVOTE_ENCODER_[A-Z_]+/g)).toHaveLength(options.length);
    expect(help).toContain('nearvote encoder add dinov2.onnx');
  });

  it.each([
    ['a size', ['--size', '0']],
    ['a size', ['--size', '224x']],
    ['a mean', ['--mean', '0.5,0.5']],
    ['a mean', ['--mean', '0.5,,0.5']],
    ['a std', ['--std', '0']],
    ['a std', ['--std', '-1,1,1']],
    ['a layout', ['--layout', 'chw']],
    ['a token', ['--token', 'last']],
    ['a scale', ['--scale', '0']],
    ['a name', ['--name', '../up']],
  ])('refuses %s that is none: %j', async (_what, wrong) => {
    await expect(run('add', 'any.onnx', ...required, ...wrong)).rejects.toBeInstanceOf(CommanderError);
  });

  it('asks for the options that it cannot guess', async () => {
    await expect(run('add', 'any.onnx')).rejects.toMatchObject({
      code: 'commander.missingMandatoryOptionValue',
    });
  });

  it('takes one number for all three channels', async () => {
    const { path, out } = await foreignFile();
    const argv = ['--size', '6x4', '--mean', '0', '--std', '1', '--layout', 'nchw', '--token', 'cls'];
    expect(await run('add', path, ...argv, '--out', out)).toContain(`--encoder ${out}`);
  });

  it('shows what an encoder is, as text and as JSON', async () => {
    expect(await run('show', shipped)).toMatch(
      /cifar10-compact 1\.0\.0\n[^]*licence +Apache-2\.0\n[^]*32 x 32[^]*256 values/,
    );
    printed = [];
    expect(JSON.parse(await run('show', shipped, '--json'))).toMatchObject({ name: 'cifar10-compact' });
  });

  it('says that there is no encoder to show', async () => {
    await expect(run('show', await emptyFolder())).rejects.toMatchObject({ code: 'encoder_missing' });
  });
});
