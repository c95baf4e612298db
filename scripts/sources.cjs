// Prints what binding.gyp asks for, a value a line: `flags LEVEL`, `sources LEVEL` (the translation unit of one level of
// cpp/cpu/levels.txt), or `sources rest`.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const lines = (name) =>
  readFileSync(join(__dirname, '..', name), 'utf8')
    .split(/\r?\n/)
    .filter(Boolean);
const levels = lines('cpp/cpu/levels.txt').map((line) => {
  const [architecture, level, ...flags] = line.split(' ');
  return { level, source: `cpp/cpu/kernels_${level}.cpp`, native: architecture === processor(), flags };
});

function processor() {
  return { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
}

const [what, name] = process.argv.slice(2);
const level = levels.find((candidate) => candidate.level === name);
const values = {
  flags: () => (level.native ? level.flags : []),
  sources: () =>
    name !== 'rest'
      ? [level.source]
      : lines('cpp/sources.txt').filter((source) => levels.every((other) => other.source !== source)),
};
process.stdout.write(values[what]().join('\n'));
