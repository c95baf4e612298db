// Adds up the results of Vitest and GoogleTest and prints "N passed, N failed" as the last line.
// Usage: node summary.mjs FOLDER [FAILED STEP...]
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, ...failedSteps] = process.argv.slice(2);
let passed = 0;
let failed = 0;
const skipped = [];

function read(name) {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch {
    console.log(`failed: no results in ${name}`);
    failed++;
    return undefined;
  }
}

function count(name, status) {
  if (status === 'passed') passed++;
  else if (status === 'failed') {
    failed++;
    console.log(`failed: ${name}`);
  } else skipped.push(name);
}

for (const suite of read('vitest.json')?.testResults ?? []) {
  for (const test of suite.assertionResults) count(`${suite.name}: ${test.fullName}`, test.status);
  // A file that does not load has no tests to fail.
  if (suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed')) {
    count(`${suite.name}: ${suite.message}`, 'failed');
  }
}
for (const suite of read('native.json')?.testsuites ?? []) {
  for (const test of suite.testsuite) {
    const ran = test.status === 'RUN' && test.result !== 'SKIPPED';
    count(`${suite.name}.${test.name}`, test.failures ? 'failed' : ran ? 'passed' : 'skipped');
  }
}
for (const step of failedSteps) {
  console.log(`failed: step ${step}`);
  // The tests that made these steps fail are counted already.
  if (!['tests', 'native tests'].includes(step) || failed === 0) failed++;
}
for (const name of skipped) console.log(`skipped: ${name}`);
if (skipped.length > 0 && process.env.FLES_DATA && process.env.FLES_MODELS) {
  console.log('failed: nothing may be skipped with FLES_DATA and FLES_MODELS set');
  failed += skipped.length;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
