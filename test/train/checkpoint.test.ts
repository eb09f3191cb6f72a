import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeCheckpoint, readCheckpoint, type Checkpoint } from '../../src/train/checkpoint.js';
import { emptyFolder } from '../encoder/folder.js';
import { aCheckpoint, configOf } from './a-checkpoint.js';

async function written(checkpoint: Checkpoint = aCheckpoint(7)): Promise<string> {
  const path = join(await emptyFolder(), 'last.ckpt');
  await writeCheckpoint(path, checkpoint);
  return path;
}

describe('a checkpoint', () => {
  it('comes back to the last bit', async () => {
    // Not a number, both zeros, the smallest and the largest: bits, not values, must be equal.
    const odd = Float32Array.of(NaN, -0, 0, 1.401298464324817e-45, 3.4028234663852886e38, -Infinity, 1 / 3);
    // A part of a longer buffer, and an empty one.
    const part = new Float32Array(10).fill(2).subarray(3, 6);
    const checkpoint = { ...aCheckpoint(7), best: null, tensors: { odd, part, empty: new Float32Array(0) } };
    const read = await readCheckpoint(await written(checkpoint), configOf);
    expect(read).toEqual(checkpoint);
    expect(Object.keys(read?.tensors ?? {})).toEqual(['odd', 'part', 'empty']);
    expect(new Uint32Array(read?.tensors.odd?.buffer ?? new ArrayBuffer(0))).toEqual(
      new Uint32Array(odd.buffer),
    );
  });

  it('replaces the one before it and leaves nothing beside it', async () => {
    const path = await written();
    await writeCheckpoint(path, aCheckpoint(8));
    expect((await readCheckpoint(path, configOf))?.step).toBe(8);
    expect(await readdir(join(path, '..'))).toEqual(['last.ckpt']);
  });

  it('is undefined where there is none', async () => {
    expect(await readCheckpoint(join(await emptyFolder(), 'none.ckpt'), configOf)).toBeUndefined();
  });

  it('of another config is refused, naming both', async () => {
    const path = await written();
    await expect(readCheckpoint(path, { name: 'two', hash: 'cd'.repeat(32) })).rejects.toMatchObject({
      code: 'checkpoint_invalid',
      message:
        `Expected a checkpoint of the config two (cdcdcdcdcdcd) in ${path} but it is of one (abababababab): ` +
        'go on with that config, or train into another folder',
    });
  });

  it('that is cut off anywhere is refused', async () => {
    const path = await written();
    const whole = await readFile(path);
    for (const bytes of [0, 7, 43, 44, 60, whole.length - 33, whole.length - 1]) {
      await writeFile(path, whole);
      await truncate(path, bytes);
      await expect(readCheckpoint(path, configOf), `${bytes} bytes`).rejects.toMatchObject({
        code: 'checkpoint_invalid',
      });
    }
    await writeFile(path, Buffer.concat([whole, Buffer.of(0)]));
    await expect(readCheckpoint(path, configOf)).rejects.toThrow('where its header tells of');
  });

  it('with any bit turned is refused', async () => {
    const path = await written();
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at += 3) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(path, damaged);
      await expect(readCheckpoint(path, configOf), `byte ${at}`).rejects.toMatchObject({
        code: 'checkpoint_invalid',
      });
    }
  });

  it('that is another kind of file, or a folder, is refused', async () => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'photo.ckpt'), Buffer.alloc(100, 'x'));
    await expect(readCheckpoint(join(dir, 'photo.ckpt'), configOf)).rejects.toThrow('another kind of file');
    await mkdir(join(dir, 'folder.ckpt'));
    await expect(readCheckpoint(join(dir, 'folder.ckpt'), configOf)).rejects.toThrow();
  });

  it.skipIf(!existsSync('/dev/full'))('stays the old one when the disk is full', async () => {
    const path = await written();
    // Whatever is written there finds no space.
    await symlink('/dev/full', `${path}.staging`);
    await expect(writeCheckpoint(path, aCheckpoint(8))).rejects.toMatchObject({
      code: 'output_unwritable',
      message: expect.stringMatching(
        /^Expected to write in .* but: ENOSPC: no space left on device/,
      ) as string,
    });
    expect((await readCheckpoint(path, configOf))?.step).toBe(7);
    expect(await readdir(join(path, '..'))).toEqual(['last.ckpt']);
    await writeCheckpoint(path, aCheckpoint(9));
    expect((await readCheckpoint(path, configOf))?.step).toBe(9);
  });

  it('cannot be written into a folder that is not there', async () => {
    await expect(
      writeCheckpoint(join(await emptyFolder(), 'no', 'last.ckpt'), aCheckpoint(1)),
    ).rejects.toMatchObject({ code: 'output_unwritable' });
  });
});
