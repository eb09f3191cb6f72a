import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { quoted, shellWord } from '../../src/domain/quoted.js';

describe('a text of somebody else', () => {
  it('is quoted in a message, and cut where it is long', () => {
    expect(quoted('a "b"\n')).toBe(String.raw`"a \"b\"\n"`);
    expect(quoted('x'.repeat(61))).toBe(`"${'x'.repeat(60)}…"`);
  });

  it.each(['index/pets', 'my index', "it's", '$(true)', '*', '', 'http://[::1]:8080/'])(
    'is one word of a shell: %s',
    (text) => {
      expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
    },
  );
});
