import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { describe, expect, it } from 'vitest';

import { cli } from './nearvote.js';

describe('a reader that has read enough', () => {
  it.each([['--help'], ['serve', '--help'], ['build', '--help']])(
    'of nearvote %s %s leaves no trace of an error',
    async (...args) => {
      const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
      expect(await once(child, 'close')).toEqual([0, null]);
      expect(stderr).toBe('');
    },
  );
});
