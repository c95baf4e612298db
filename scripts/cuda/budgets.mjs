// What each kernel may use and must have, cuda/budgets.json, and how what was compiled compares with it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../tools.mjs';
import { ARCHITECTURES } from './kernels.mjs';
import { blocksPerSm, occupancy } from './occupancy.mjs';

export const BUDGETS = join(root, 'cuda/budgets.json');
/** Instructions of which a kernel must have so many. */
const INSTRUCTIONS = ['HMMA', 'IMMA', 'LDSM', 'LDGSTS', 'BAR'];

export const readBudgets = () => JSON.parse(readFileSync(BUDGETS, 'utf8'));

/** What the budget of one architecture says of a kernel that was compiled. */
function budgetOf(architecture, { block, dynamicShared }, facts) {
  const shared = facts.staticShared + dynamicShared;
  const onTensorCores = facts.HMMA > 0 || facts.IMMA > 0;
  const counts = INSTRUCTIONS.filter((name) => facts[name] > 0).map((name) => [name, facts[name]]);
  return {
    registers: facts.registers,
    shared,
    occupancy: occupancy(architecture, { block, registers: facts.registers, shared }),
    ...(onTensorCores ? { loop: facts.loop } : {}),
    ...Object.fromEntries(counts),
  };
}

/** Blocks of a budgeted kernel that a multiprocessor holds. */
export function residentBlocks(architecture, { block, [architecture]: { registers, shared } }) {
  return blocksPerSm(architecture, { block, registers, shared });
}

/** Budgets for what was found: {file/kernel: {launch, sm_80: facts, sm_90: facts}}. */
export function makeBudgets(compiler, found) {
  const kernels = Object.entries(found).map(([name, { launch, ...facts }]) => {
    const own = ARCHITECTURES.map((architecture) => [
      architecture,
      budgetOf(architecture, launch, facts[architecture]),
    ]);
    return [name, { ...launch, ...Object.fromEntries(own) }];
  });
  return { compiler, kernels: Object.fromEntries(kernels.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** An architecture a line, so that a change is seen at once. */
export function writeBudgets({ compiler, kernels }) {
  const line = (value) => JSON.stringify(value).replace(/([:,])(?=["\d])/g, '$1 ');
  const entries = Object.entries(kernels).map(([name, { block, dynamicShared, ...own }]) => {
    const lines = Object.entries(own).map(([architecture, budget]) => `,\n      "${architecture}": ${line(budget)}`);
    return `    "${name}": {\n      "block": ${block}, "dynamicShared": ${dynamicShared}${lines.join('')}\n    }`;
  });
  writeFileSync(BUDGETS, `{\n  "compiler": "${compiler}",\n  "kernels": {\n${entries.join(',\n')}\n  }\n}\n`);
}

/** One sentence for each thing that is not as budgeted. */
export function problems(found, { kernels }) {
  const wrong = [];
  for (const name of Object.keys(kernels)) {
    if (!(name in found)) wrong.push(`${name}: budgeted, but no such kernel was compiled`);
  }
  for (const [name, { launch, ...all }] of Object.entries(found)) {
    const budget = kernels[name];
    if (budget === undefined) {
      wrong.push(`${name}: no budget`);
      continue;
    }
    for (const key of ['block', 'dynamicShared']) {
      if (launch[key] !== budget[key]) wrong.push(`${name}: ${key} ${launch[key]}, expected ${budget[key]}`);
    }
    for (const architecture of ARCHITECTURES) {
      const say = (value, expected) => wrong.push(`${name} on ${architecture}: ${value}, expected ${expected}`);
      const facts = all[architecture];
      const { registers, shared, occupancy: least, loop, ...counts } = budget[architecture];
      if (facts.spills > 0) say(`${facts.spills} bytes of spills`, 0);
      if (facts.stack > 0) say(`${facts.stack} bytes of stack`, 0);
      if (facts.floatAtomics > 0) say(`${facts.floatAtomics} atomic operations on floats`, 0);
      const now = budgetOf(architecture, budget, facts);
      if (now.registers > registers) say(`${now.registers} registers`, `at most ${registers}`);
      if (now.shared > shared) say(`${now.shared} bytes of shared memory`, `at most ${shared}`);
      if (now.occupancy < least) say(`occupancy ${now.occupancy}`, `at least ${least}`);
      if (now.loop > loop) say(`${now.loop} instructions in the longest inner loop`, `at most ${loop}`);
      for (const [key, count] of Object.entries(counts)) {
        if (facts[key] < count) say(`${facts[key]} instructions ${key}`, `at least ${count}`);
      }
    }
  }
  return wrong;
}
