// What a result file says about where and how it was made.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { native } from './fles.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

function commit() {
  try {
    const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? ' (changed)' : '');
  } catch {
    return null;
  }
}

export function provenance() {
  const { cpuLevel, cpuSixteenBits, cpuFeatures, threads } = native.platform();
  return {
    command: ['node', ...process.argv.slice(1).map((part) => part.replace(`${root}/`, ''))].join(' '),
    date: new Date().toISOString(),
    commit: commit(),
    version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    node: process.version,
    cpu: cpus()[0].model,
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    cpuLevel,
    cpuSixteenBits,
    cpuFeatures,
    threads,
  };
}
