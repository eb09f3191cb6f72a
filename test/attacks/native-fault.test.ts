import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { describe, expect, it } from 'vitest';

import { createWorkplace, spawnServed } from '../cli/served.js';
import { faultingLibrary } from './faulting-library.js';

const workplace = await createWorkplace();

const { platform, arch } = process;

describe('a fault in native code of the server', () => {
  // A handler in JavaScript never runs: the instruction faults again, at full speed, and SIGTERM is not seen either.
  it.skipIf(platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64'))(
    'ends the process at once, so that whatever watches it starts another',
    async () => {
      const library = join(workplace.folder, 'fault.node');
      await writeFile(library, faultingLibrary());
      const preload = join(workplace.folder, 'preload.mjs');
      await writeFile(
        preload,
        `process.on('SIGCONT', () => process.dlopen({ exports: {} }, ${JSON.stringify(library)}));`,
      );
      const env = { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` };
      const { child, exited } = await spawnServed(workplace, { env });
      child.kill('SIGCONT');
      expect(await exited).toEqual([null, 'SIGSEGV']);
    },
  );
});
