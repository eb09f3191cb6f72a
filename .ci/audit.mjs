// Known vulnerabilities of what is installed in production, where the registry answers:
//   node .ci/audit.mjs
import { spawnSync } from 'node:child_process';

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' });
let report = {};
try {
  report = JSON.parse(stdout);
} catch {
  // No answer at all is told below.
}
const counts = report.metadata?.vulnerabilities;
if (counts === undefined) {
  console.log(`not audited: ${report.message ?? 'the registry does not answer'}`);
} else {
  const grave = Object.values(report.vulnerabilities).filter(({ severity }) =>
    ['high', 'critical'].includes(severity),
  );
  for (const { name, severity, range } of grave) console.error(`${severity}: ${name} ${range}`);
  console.log(`audited: ${counts.total} known, ${grave.length} high or critical`);
  if (grave.length > 0) process.exitCode = 1;
}
