// The mutants of the kernels: what a kernel would be with a comparison that is off by one, or without a barrier. Device
// code is the body of every function that is marked __global__ or __device__ in cuda/*.cu and cuda/*.cuh; launches and
// what else runs on the host is in other functions. Its mutants, each with one change:
//
//   `>=` becomes `>`, `<` becomes `<=`      each of them, but for the loops below
//   `column == 0 && ` and its like are deleted, which have one thread or block do what others would do again
//   __syncthreads, __syncwarp, waits for asynchronous copies and the ends of their groups are deleted
//
// Left out are the loops under a bare `#pragma unroll`, whose bounds are constants that count registers, and comparisons
// with a number that has a point, which guard nothing: they choose a formula.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../tools.mjs';

const FOLDER = join(root, 'cuda');
const files = readdirSync(FOLDER).filter((name) => /\.(cu|cuh|h)$/.test(name));
const texts = new Map(files.map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]));

/** A source of cuda/. */
export const textOf = (file) => texts.get(file);
export const sources = files.filter((name) => /\.cuh?$/.test(name));

const CHANGES = [
  { kind: '>=', pattern: / >= (?!\d+\.\d)/g, becomes: ' > ' },
  { kind: '== 0 &&', pattern: /[\w.]+( % \w+)? == 0 && /g, becomes: '' },
  { kind: '<', pattern: / < (?!\d+\.\d)/g, becomes: ' <= ' },
  { kind: 'barrier', pattern: /(__sync(threads|warp)|ptx::copy_async_(wait<\d+>|commit))\([^()]*\);/g, becomes: ';' },
];

/** The text with comments, strings and the heads of unrolled loops as spaces, so that places stay. */
function searched(text) {
  const blank = (found) => found.replace(/[^\n]/g, ' ');
  const code = text.replace(/\/\/.*|"(\\.|[^"\\])*"/g, blank);
  return code.replace(/#pragma unroll\n *for \([^;]*;[^;]*;/g, blank);
}

/** [begin, end) of the bodies of device functions. */
function deviceCode(text) {
  const bodies = [];
  const marker = /__(global|device)__/g;
  for (let found = marker.exec(text); found !== null; found = marker.exec(text)) {
    let [at, parentheses] = [found.index, 0];
    for (; parentheses > 0 || (text[at] !== '{' && text[at] !== ';'); ++at) {
      if (text[at] === '(') ++parentheses;
      if (text[at] === ')') --parentheses;
    }
    const begin = at;
    if (text[begin] === ';') continue; // a declaration
    let braces = 0;
    do {
      if (text[at] === '{') ++braces;
      if (text[at] === '}') --braces;
      ++at;
    } while (braces > 0);
    bodies.push([begin, at]);
    marker.lastIndex = at;
  }
  return bodies;
}

/** The mutants of a file; `nth` counts those of one file that read the same. */
export function mutantsOf(file) {
  const text = textOf(file);
  const code = searched(text);
  const lines = text.split('\n');
  const seen = new Map();
  const found = deviceCode(code).flatMap(([begin, end]) =>
    CHANGES.flatMap(({ kind, pattern, becomes }) =>
      [...code.slice(begin, end).matchAll(pattern)].map((match) => ({
        kind,
        at: begin + match.index,
        length: match[0].length,
        becomes,
      })),
    ),
  );
  return found
    .sort((a, b) => a.at - b.at)
    .map(({ kind, at, length, becomes }) => {
      const line = text.slice(0, at).split('\n').length;
      const changed = text.slice(0, at) + becomes + text.slice(at + length);
      const [was, is] = [lines[line - 1].trim(), changed.split('\n')[line - 1].trim()];
      const nth = (seen.get(was + is) ?? 0) + 1;
      seen.set(was + is, nth);
      return { file, line, kind, was, becomes: is, nth, changed };
    });
}

/** What a file includes of cuda/, at any depth, and itself. */
function included(file, all = new Set()) {
  if (all.has(file) || !texts.has(file)) return all;
  all.add(file);
  for (const [, name] of textOf(file).matchAll(/^#include "([\w.]+)"/gm)) included(name, all);
  return all;
}

/** The sources to be compiled when a file has changed. */
export function compiledWith(file) {
  return sources.filter((name) => name.endsWith('.cu') && included(name).has(file));
}

/** The texts that are compiled when a file has changed, in one. */
export function compiledText(file) {
  return [...new Set(compiledWith(file).flatMap((name) => [...included(name)]))].map(textOf).join('');
}

/** The ops whose kernels a file is part of: those that include it, and those that include the header of one that does. */
export function opsOf(file, names) {
  const changed = compiledWith(file);
  const headers = changed.map((name) => name.replace('.cu', '.h'));
  return names.filter((op) => {
    const needed = included(`${op}.cu`);
    return [...changed, ...headers].some((name) => needed.has(name));
  });
}
