// How many blocks of a kernel a multiprocessor holds, by the rules of NVIDIA's cuda_occupancy.h.

/** Of a multiprocessor; registers are shared out to warps in each of its four parts. */
const REGISTERS = 65_536;
const PARTS = 4;
const WARPS = 64;
const BLOCKS = 32;
const REGISTER_UNIT = 256; // of a warp
const SHARED_UNIT = 128;
const SHARED_RESERVED = 1024; // of a block
/** Shared memory: of a multiprocessor, and the most of a block. */
const SHARED = { sm_80: [167_936, 166_912], sm_90: [233_472, 232_448] };

const roundUp = (x, unit) => Math.ceil(x / unit) * unit;

/** `shared`: bytes of a block, static and dynamic. */
export function blocksPerSm(architecture, { block, registers, shared }) {
  const [ofAll, most] = SHARED[architecture];
  const warps = Math.ceil(block / 32);
  const registersOfWarp = roundUp(registers * 32, REGISTER_UNIT);
  if (shared > most || registersOfWarp * roundUp(warps, PARTS) > REGISTERS) return 0;
  const byRegisters = Math.floor((Math.floor(REGISTERS / PARTS / registersOfWarp) * PARTS) / warps);
  const byShared = Math.floor(ofAll / roundUp(shared + SHARED_RESERVED, SHARED_UNIT));
  return Math.min(byRegisters, byShared, Math.floor(WARPS / warps), BLOCKS);
}

/** The share of a multiprocessor's warps. */
export function occupancy(architecture, kernel) {
  return (blocksPerSm(architecture, kernel) * Math.ceil(kernel.block / 32)) / WARPS;
}
