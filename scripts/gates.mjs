// The gates: eslint, which takes as long as the others together, beside the others one after another.
//   node scripts/gates.mjs
import { execFile } from 'node:child_process';

const lanes = [['lint'], ['typecheck', 'format:check', 'depcruise', 'knip']];
const failed = [];

/** Prints what a script said once it has ended, so that no two are mixed. */
function run(script) {
  const started = Date.now();
  return new Promise((resolve) => {
    execFile('npm', ['run', '--silent', script], { maxBuffer: 1e8 }, (error, stdout, stderr) => {
      const seconds = ((Date.now() - started) / 1000).toFixed(0);
      console.log(`${stdout}${stderr}-- ${script}: ${error ? 'failed' : 'passed'} after ${seconds} s`);
      if (error) failed.push(script);
      resolve();
    });
  });
}

await Promise.all(
  lanes.map(async (scripts) => {
    for (const script of scripts) await run(script);
  }),
);
if (failed.length > 0) {
  console.error(`gates that failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
