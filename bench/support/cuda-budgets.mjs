// What cuda/budgets.json says of a kernel, as the roofline model takes it.
import { readBudgets, residentBlocks } from '../../scripts/cuda/budgets.mjs';
import { ARCHITECTURES } from '../../scripts/cuda/kernels.mjs';

const { kernels } = readBudgets();
const byArchitecture = (value) => Object.fromEntries(ARCHITECTURES.map((name) => [name, value(name)]));

/** Instructions of the longest inner loop on sm_80, as `npm run check:cuda` has counted them. */
export const loopOf = (kernel) => kernels[kernel].sm_80.loop;

/** Blocks that are resident on a multiprocessor, and its share of warps, by architecture; nothing for cuBLAS and copies. */
export function budgetOf(kernel) {
  const budget = kernels[kernel];
  if (budget === undefined) return {};
  return {
    resident: byArchitecture((name) => residentBlocks(name, budget)),
    occupancy: byArchitecture((name) => budget[name].occupancy),
  };
}
