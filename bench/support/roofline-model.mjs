// A roofline model of kernels: the time of a launch is the largest of what each unit of the device needs for its part of
// the work (Williams et al. 2009, "Roofline"), at a share of the unit's peak that kernels are taken to reach, or what its
// slowest block needs from end to end where that is longer, and the time of launching.

/**
 * Peaks of NVIDIA's data sheets, dense. Tensor cores, float32: operations a second; memory: bytes a second. `lanes`: those
 * of a multiprocessor that multiply float32, from which follows its clock. `driver`: the name that CUDA gives.
 */
export const DEVICES = {
  A100: {
    name: 'A100 80 GB SXM',
    driver: 'NVIDIA A100-SXM4-80GB',
    architecture: 'sm_80',
    multiprocessors: 108,
    lanes: 64,
    fp32: 19.5e12,
    tf32: 156e12,
    bf16: 312e12,
    int8: 624e12,
    dram: 2039e9,
    cache: 40e6,
  },
  H100: {
    name: 'H100 SXM5',
    driver: 'NVIDIA H100 80GB HBM3',
    architecture: 'sm_90',
    multiprocessors: 132,
    lanes: 128,
    fp32: 67e12,
    tf32: 494.7e12,
    bf16: 989.4e12,
    int8: 1978.9e12,
    dram: 3350e9,
    cache: 50e6,
  },
};
/** H100 with faster memory. */
DEVICES.H200 = { ...DEVICES.H100, name: 'H200 SXM', driver: 'NVIDIA H200', dram: 4800e9 };

/**
 * The device whose peaks are taken for one that the CUDA backend describes, and whether it is this very one: {device,
 * exact}. The nearest has the name in its own, else the compute capability.
 */
export function deviceFor(description) {
  const [name, capability = ''] = description.split(', compute capability ');
  const same = Object.values(DEVICES).find(({ driver }) => driver === name);
  if (same) return { device: same, exact: true };
  const [, near] = Object.entries(DEVICES).find(([key]) => name.includes(key)) ?? [];
  return { device: near ?? (Number.parseFloat(capability) < 9 ? DEVICES.A100 : DEVICES.H100), exact: false };
}

/** Shares of the peaks. They are assumptions, to be replaced by measurements. */
export const SHARES = {
  dram: 0.8,
  l2: 0.6,
  shared: 0.8,
  fp32: 0.7,
  /** Tensor cores by cuBLAS, and by mma.sync in kernels of this package: on Hopper the full rate takes wgmma. */
  cublas: { sm_80: 0.7, sm_90: 0.6 },
  mma: { sm_80: 0.75, sm_90: 0.5 },
  /** Of the cycles in which a scheduler could issue: a warp does in every fourth, and together they do not come past this. */
  issueOfWarp: 0.25,
  issueAtMost: 0.6,
};

/** Seconds of the host for a launch, which are added to each, and for a wait until the device has caught up. */
export const LAUNCH = 4e-6;
export const WAIT = 10e-6;
/** Cycles until a value of memory, or of the L2 cache, has arrived. */
export const MEMORY_CYCLES = 850;
export const CACHE_CYCLES = 300;

const TENSOR = ['tf32', 'bf16', 'int8'];
const UNITS = ['dram', 'l2', 'shared', 'issue', 'fp32', ...TENSOR];

export const clockOf = (device) => device.fp32 / (device.multiprocessors * device.lanes * 2);

/** What a unit does in a second at its peak: bytes, warp instructions or operations. */
export function peakOf(device, unit) {
  const cycles = device.multiprocessors * clockOf(device);
  if (unit === 'l2') return 5120 * clockOf(device); // bytes a cycle, as NVIDIA says of A100; taken for H100 too
  if (unit === 'shared') return 128 * cycles; // 32 banks of 4 bytes
  if (unit === 'issue') return 4 * cycles; // one of each scheduler
  return device[unit];
}

function shareOf(device, unit, launch) {
  if (TENSOR.includes(unit)) return SHARES[launch.cublas ? 'cublas' : 'mma'][device.architecture];
  if (unit !== 'issue') return SHARES[unit];
  const warps = (launch.occupancy?.[device.architecture] ?? 1) * 16; // of a scheduler
  return Math.min(SHARES.issueAtMost, SHARES.issueOfWarp * warps);
}

/** How much longer work takes that is not spread evenly: the multiprocessor with the most blocks decides. */
export function imbalance(device, blocks) {
  if (blocks === undefined) return 1;
  return (Math.ceil(blocks / device.multiprocessors) * device.multiprocessors) / blocks;
}

/**
 * Seconds of a launch and what bounds it: {seconds, bound, launching}. A launch has amounts of work by unit, and perhaps
 *   blocks, cycles        blocks, and the cycles that the slowest needs whatever else there is
 *   resident, occupancy   blocks of a multiprocessor, and its share of warps, by architecture
 *   cublas                whether it is a product of cuBLAS
 *   waits                 whether the host waits for it
 */
export function timeOf(device, launch) {
  let best = { seconds: 0, bound: 'launch' };
  const consider = (bound, seconds) => {
    if (seconds > best.seconds) best = { seconds, bound };
  };
  for (const unit of UNITS) {
    if (!launch[unit]) continue;
    const ofMemory = unit === 'dram' || unit === 'l2';
    const spread = ofMemory || launch.cublas ? 1 : imbalance(device, launch.blocks);
    consider(unit, (launch[unit] / (peakOf(device, unit) * shareOf(device, unit, launch))) * spread);
  }
  if (launch.cycles) {
    const slots = device.multiprocessors * (launch.resident?.[device.architecture] ?? 8);
    consider('latency', (Math.ceil((launch.blocks ?? 1) / slots) * launch.cycles) / clockOf(device));
  }
  const launching = LAUNCH + (launch.waits ? WAIT : 0);
  const bound = best.seconds < launching ? 'launch' : best.bound;
  return { seconds: best.seconds + launching, bound, launching };
}

/** Launches of one key added up: {key, launches, seconds, launching, work by unit, bound: that of most of the time}. */
export function summarize(device, launches, keyOf) {
  const groups = new Map();
  for (const launch of launches) {
    const key = keyOf(launch);
    const group = groups.get(key) ?? { key, launches: 0, seconds: 0, launching: 0, bounds: {} };
    const { seconds, bound, launching } = timeOf(device, launch);
    group.launches++;
    group.seconds += seconds;
    group.launching += launching;
    group.bounds[bound] = (group.bounds[bound] ?? 0) + seconds;
    for (const unit of UNITS) group[unit] = (group[unit] ?? 0) + (launch[unit] ?? 0);
    groups.set(key, group);
  }
  const most = (bounds) => Object.entries(bounds).sort(([, a], [, b]) => b - a)[0][0];
  return [...groups.values()]
    .map(({ bounds, ...group }) => ({ ...group, bound: most(bounds), operations: operationsOf(group) }))
    .sort((a, b) => b.seconds - a.seconds);
}

/** Floating-point and whole-number operations of products. */
export const operationsOf = (work) => ['fp32', ...TENSOR].reduce((sum, unit) => sum + (work[unit] ?? 0), 0);

export const secondsOf = (device, launches) => launches.reduce((sum, one) => sum + timeOf(device, one).seconds, 0);
