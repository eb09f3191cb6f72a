// What came of a run: what was left out, which stages failed, and as the very last line `N passed, N failed`.
//   node .ci/totals.mjs FOLDER
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
const lines = (name) => {
  const file = join(folder, name);
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
};

let passed = 0;
let failed = 0;
const told = new Set();
for (const [stage, file] of [
  ['npm test', 'test.json'],
  ['npm run test:long', 'test:long.json'],
]) {
  if (!existsSync(join(folder, file))) continue;
  const report = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const red = tests.filter(({ status }) => status === 'failed');
  passed += tests.filter(({ status }) => status === 'passed').length;
  failed += red.length + broken.length;
  if (red.length + broken.length > 0) told.add(stage);
  for (const { fullName } of red) console.log(`failed: ${fullName}`);
  for (const { name } of broken) console.log(`failed as a whole: ${name}`);
  for (const { fullName, status } of tests) {
    if (!['passed', 'failed'].includes(status)) console.log(`left out: the test "${fullName}"`);
  }
}
for (const what of lines('left-out')) console.log(`left out: ${what}`);
for (const stage of lines('failed')) {
  console.log(`the stage that failed: ${stage}`);
  if (!told.has(stage)) failed += 1;
}
process.exitCode = failed > 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed`);
