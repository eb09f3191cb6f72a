// Takes MobileNetV2 out of npm's nsfwjs as docs/tensorflow.md says, and adds it as an encoder with the compiled files of the
// current folder.  node .ci/nsfwjs.mjs
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const page = readFileSync('docs/tensorflow.md', 'utf8');
const [, script] = /```js\n([^]*?)```/.exec(page) ?? [];
const [, output, options] =
  /^OUTPUT=(\S+)\nnpx nearvote (encoder add .*)--output \$OUTPUT --out \S+$/m.exec(page) ?? [];
if (script === undefined || output === undefined || options === undefined) {
  throw new Error('Expected the steps in docs/tensorflow.md');
}

const cwd = mkdtempSync(join(tmpdir(), 'nearvote-nsfwjs-'));
try {
  const npm = ['pack', '--silent', 'nsfwjs@4.3.0', '--pack-destination', cwd];
  const packed = execFileSync('npm', npm, { encoding: 'utf8' }).trim();
  const at = join(cwd, 'node_modules', 'nsfwjs');
  mkdirSync(at, { recursive: true });
  execFileSync('tar', ['-xzf', join(cwd, packed), '-C', at, '--strip-components=1']);
  writeFileSync(join(cwd, 'extract.cjs'), script);
  execFileSync(process.execPath, ['extract.cjs'], { cwd, stdio: 'inherit' });
  const words = options.trim().replace('model.json', join(cwd, 'model.json')).split(' ');
  const command = [...words, '--out', join(cwd, 'mobilenet'), '--output', output, '--json'];
  const printed = execFileSync(process.execPath, [resolve('dist/cli/main.js'), ...command], {
    encoding: 'utf8',
  });
  const manifest = JSON.parse(printed);
  console.log(
    `nsfwjs's model: ${manifest.output.dimension} values, ${manifest.proof.images} images as its proof`,
  );
  if (manifest.output.dimension !== 1792) process.exitCode = 1;
} finally {
  rmSync(cwd, { recursive: true, force: true });
}
