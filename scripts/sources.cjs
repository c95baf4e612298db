// Prints a part of cpp/sources.txt for binding.gyp: the translation unit of one instruction set, or the rest.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const part = process.argv[2];
const levels = { avx2: /_avx2\.cpp$/, avx512: /_avx512\.cpp$/ };
const sources = readFileSync(join(__dirname, '../cpp/sources.txt'), 'utf8').split(/\r?\n/).filter(Boolean);
const chosen = sources.filter((name) =>
  part === 'rest' ? Object.values(levels).every((level) => !level.test(name)) : levels[part].test(name),
);
process.stdout.write(chosen.join('\n'));
