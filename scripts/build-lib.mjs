// Compiles lib/ to dist/ (CommonJS and types) and writes the ES module that re-exports it by name.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
const compiler = require.resolve('typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', root], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const names = Object.keys(require(join(dist, 'index.js'))).sort();
const list = names.map((name) => `export const ${name} = fles.${name};`).join('\n');
writeFileSync(join(dist, 'index.mjs'), `import fles from './index.js';\n\n${list}\n`);
writeFileSync(join(dist, 'index.d.mts'), "export * from './index.js';\n");
chmodSync(join(dist, 'cli/main.js'), 0o755);
