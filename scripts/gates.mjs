// The gates: eslint, which takes as long as the others together, beside the others one after another.
//   node scripts/gates.mjs
import { execFile } from 'node:child_process';

const lanes = [['lint'], ['typecheck', 'format:check', 'depcruise', 'knip']];
const failed = [];

/** Prints what a script said once it has ended, so that no two are mixed, and what one that failed said at the very end. */
function run(script) {
  const started = Date.now();
  return new Promise((resolve) => {
    execFile('npm', ['run', '--silent', script], { maxBuffer: 1e8 }, (error, stdout, stderr) => {
      const seconds = ((Date.now() - started) / 1000).toFixed(0);
      const said = `${stdout}${stderr}-- ${script}: ${error ? 'failed' : 'passed'} after ${seconds} s`;
      if (error) failed.push({ script, said });
      else console.log(said);
      resolve();
    });
  });
}

await Promise.all(
  lanes.map(async (scripts) => {
    for (const script of scripts) await run(script);
  }),
);
for (const { said } of failed) console.log(said);
if (failed.length > 0) {
  console.error(`gates that failed: ${failed.map(({ script }) => script).join(', ')}`);
  process.exitCode = 1;
}
