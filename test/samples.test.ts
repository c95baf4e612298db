import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = join(__dirname, '..');
const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const pages = ['README.md', ...docs.map((name) => join('docs', name))];

/** The programs of the documents: their blocks of TypeScript that import something; others are signatures. */
function samples(): { name: string; text: string }[] {
  return pages.flatMap((page) => {
    const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(import .*?)^```/gms)];
    return blocks.map(([, text], i) => ({ name: `${basename(page, '.md')}-${i}.mts`, text: text! }));
  });
}

test('the programs in README and docs compile as strict TypeScript', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fles-samples-'));
  try {
    const programs = samples();
    expect(programs.length).toBeGreaterThan(8);
    for (const { name, text } of programs) writeFileSync(join(folder, name), text);
    const program = ts.createProgram(
      [join(root, 'lib/node-gyp-build.d.ts'), ...programs.map(({ name }) => join(folder, name))],
      {
        noEmit: true,
        strict: true,
        skipLibCheck: true,
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.NodeNext,
        moduleResolution: ts.ModuleResolutionKind.NodeNext,
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
        paths: { fles: [join(root, 'lib/index.ts')] },
      },
    );
    const wrong = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
      const place = file
        ? `${basename(file.fileName)}:${file.getLineAndCharacterOfPosition(start ?? 0).line + 1} `
        : '';
      return place + ts.flattenDiagnosticMessageText(messageText, '\n');
    });
    expect(wrong).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
