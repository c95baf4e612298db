// Compiles lib/ to dist/ (CommonJS and types) and writes the ES module that re-exports it by name.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const dist = join(root, 'dist');
// Built beside it: whatever runs from dist meanwhile finds it whole.
const next = join(root, '.dist-next');
const last = join(root, '.dist-last');

for (const folder of [next, last]) rmSync(folder, { recursive: true, force: true });
const compiler = require.resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', root, '--outDir', next], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const names = Object.keys(require(join(next, 'index.js'))).sort();
const list = names.map((name) => `export const ${name} = fles.${name};`).join('\n');
writeFileSync(join(next, 'index.mjs'), `import fles from './index.js';\n\n${list}\n`);
writeFileSync(join(next, 'index.d.mts'), "export * from './index.js';\n");
chmodSync(join(next, 'cli/main.js'), 0o755);
if (existsSync(dist)) renameSync(dist, last);
renameSync(next, dist);
rmSync(last, { recursive: true, force: true });
