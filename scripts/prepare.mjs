// npm runs `prepare` after every install. A packed copy ships dist/ and has no compiler; a checkout compiles.
import { existsSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

if (existsSync('tsconfig.build.json')) {
  let tsc;
  try {
    tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  } catch {
    console.log('prepare: typescript is not installed, dist/ is left as it is');
  }
  if (tsc) execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
}
