import { randomBytes } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { syncPath, writeDurably } from '../neighbours/durable-file.js';
import { lockIndex } from '../neighbours/index-lock.js';
import { readCurrent } from '../neighbours/index-store.js';
import { stagingPrefix, writing } from '../neighbours/publish.js';
import { calibrationSchema, type CalibrationFile } from './calibration-schema.js';

const calibrationFile = 'calibration.json';

/**
 * Reads `index/<name>/calibration.json`; undefined where there is none.
 * @throws NearvoteError `calibration_invalid` naming the field that is wrong
 */
export async function readCalibration(root: string): Promise<CalibrationFile | undefined> {
  let text: string;
  try {
    text = await readFile(join(root, calibrationFile), 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new NearvoteError('calibration_invalid', `Expected ${calibrationFile} but it cannot be read`, {
      cause,
    });
  }
  const parsed = calibrationSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new NearvoteError(
    'calibration_invalid',
    `Expected a valid ${calibrationFile} but ${field === '' ? 'the whole' : field} is wrong: ${issue?.message ?? ''}`,
  );
}

/**
 * Writes the calibration of the version that is published, in one rename, while no build can publish another.
 * @throws NearvoteError `index_changed` when that is not the version it was fitted for, `output_unwritable`
 */
export async function writeCalibration(root: string, calibration: CalibrationFile): Promise<void> {
  const text = `${JSON.stringify(calibrationSchema.parse(calibration))}\n`;
  await writing(root, async () => {
    const lock = await lockIndex(root);
    const staged = join(root, `${stagingPrefix}calibration-${randomBytes(4).toString('hex')}`);
    try {
      const version = await readCurrent(root);
      if (version !== calibration.index.version) {
        throw new NearvoteError(
          'index_changed',
          `Expected index ${basename(resolve(root))} to be at version ${calibration.index.version}, as when the calibration began, but it is at ${version}; calibrate again`,
        );
      }
      await writeDurably(staged, text);
      await lock.assertHeld();
      await rename(staged, join(root, calibrationFile));
      await syncPath(root);
    } finally {
      await rm(staged, { force: true });
      await lock.release();
    }
  });
}

/** Text that is not JSON reads as undefined, which no schema here accepts. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
