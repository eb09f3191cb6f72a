// Known vulnerabilities of what is installed in production, where the registry answers:
//   node .ci/audit.mjs [FILE], to which it adds a line if it could not audit
import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
let report = {};
try {
  report = JSON.parse(stdout);
} catch {
  // No answer at all is told below.
}
const counts = report.metadata?.vulnerabilities;
if (counts === undefined) {
  const why = `known vulnerabilities: ${report.message ?? 'the registry does not answer'}`;
  console.log(`not audited: ${why}`);
  const [file] = process.argv.slice(2);
  if (file !== undefined) appendFileSync(file, `${why}\n`);
} else {
  const grave = Object.values(report.vulnerabilities).filter(({ severity }) =>
    ['high', 'critical'].includes(severity),
  );
  for (const { name, severity, range } of grave) console.error(`${severity}: ${name} ${range}`);
  console.log(`audited: ${counts.total} known, ${grave.length} high or critical`);
  if (grave.length > 0) process.exitCode = 1;
}
