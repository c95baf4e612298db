import { expect, test } from 'vitest';
// @ts-expect-error a script without types
import { makeBudgets, problems } from '../../scripts/cuda/budgets.mjs';
// @ts-expect-error a script without types
import { countInstructions, shortName } from '../../scripts/cuda/kernels.mjs';
// @ts-expect-error a script without types
import { launchOf } from '../../scripts/cuda/launches.mjs';
// @ts-expect-error a script without types
import { blocksPerSm } from '../../scripts/cuda/occupancy.mjs';

// As cuda_occupancy.h of CUDA 13.0 computes them.
test.each([
  ['sm_80', 256, 128, 40_960, 2],
  ['sm_80', 128, 255, 87_552, 1],
  ['sm_90', 128, 255, 87_552, 2],
  ['sm_80', 128, 176, 69_632, 2],
  ['sm_80', 256, 17, 0, 8],
  ['sm_80', 288, 40, 0, 5],
  ['sm_80', 32, 16, 0, 32],
  ['sm_80', 1024, 65, 0, 0],
  ['sm_80', 128, 32, 200_000, 0],
])(
  '%s holds, of blocks of %i threads with %i registers and %i bytes: %i times',
  (architecture, block, registers, shared, blocks) => {
    expect(blocksPerSm(architecture, { block, registers, shared })).toBe(blocks);
  },
);

const facts = {
  registers: 126,
  staticShared: 40_960,
  stack: 0,
  spills: 0,
  floatAtomics: 0,
  ...{ HMMA: 32, IMMA: 0, LDSM: 12, LDGSTS: 28, BAR: 4, loop: 277 },
};
const compiled = (sm80: object = {}, launch: object = {}) => ({
  'head/head<Tf32>': {
    launch: { block: 256, dynamicShared: 0, ...launch },
    sm_80: { ...facts, ...sm80 },
    sm_90: facts,
  },
});
const budgets = makeBudgets('13.0.88', compiled());

test('what was compiled is as its budget, or a sentence says what is not', () => {
  expect(budgets.kernels['head/head<Tf32>'].sm_80).toEqual({
    ...{ registers: 126, shared: 40_960, occupancy: 0.25 },
    ...{ HMMA: 32, LDSM: 12, LDGSTS: 28, BAR: 4, loop: 277 },
  });
  expect(problems(compiled(), budgets)).toEqual([]);
  expect(problems(compiled({ registers: 120, HMMA: 64, loop: 270 }), budgets)).toEqual([]); // better
  const sentences: [object, object, string][] = [
    [{ registers: 127 }, {}, 'head/head<Tf32> on sm_80: 127 registers, expected at most 126'],
    [{ spills: 8 }, {}, 'head/head<Tf32> on sm_80: 8 bytes of spills, expected 0'],
    [{ stack: 16 }, {}, 'head/head<Tf32> on sm_80: 16 bytes of stack, expected 0'],
    [{ floatAtomics: 1 }, {}, 'head/head<Tf32> on sm_80: 1 atomic operations on floats, expected 0'],
    [{ loop: 278 }, {}, 'head/head<Tf32> on sm_80: 278 instructions in the longest inner loop, expected at most 277'],
    [{ LDSM: 11 }, {}, 'head/head<Tf32> on sm_80: 11 instructions LDSM, expected at least 12'],
    [{}, { block: 128 }, 'head/head<Tf32>: block 128, expected 256'],
  ];
  for (const [sm80, launch, sentence] of sentences)
    expect(problems(compiled(sm80, launch), budgets)).toEqual([sentence]);
  expect(problems(compiled({ staticShared: 90_000 }), budgets)).toEqual([
    'head/head<Tf32> on sm_80: 90000 bytes of shared memory, expected at most 40960',
    'head/head<Tf32> on sm_80: occupancy 0.125, expected at least 0.25',
  ]);
  expect(problems({}, budgets)).toEqual(['head/head<Tf32>: budgeted, but no such kernel was compiled']);
  expect(problems(compiled(), { kernels: {} })).toEqual(['head/head<Tf32>: no budget']);
});

test('blocks and dynamic shared memory are read from the launches', () => {
  const source = `
    constexpr int kRows = 4, kWarps = 2;
    constexpr size_t bytes_of(int width) { return sizeof(float) * static_cast<size_t>(kRows) * (width + 4); }
    template <int kWidth> constexpr int kOther = kWidth <= 64 ? 64 : 32;
    op.launch(convert<float>, blocks_of(a.T, kRows), kRows * 32 * kWarps, 0, a.in, a.out);
    op.launch(attend<decltype(x), width()>, dim3(tiles.size(), a.H), 128, bytes_of(width()), a);
    op.launch(pass<T, width(), true>, grid, 128, kOther<width()> * 4, a);
    op.launch(unknown, grid, threads, 0, a);`;
  expect(launchOf('convert<float>', source)).toEqual({ block: 256, dynamicShared: 0 });
  expect(launchOf('attend<Tf32, 64>', source)).toEqual({ block: 128, dynamicShared: 4 * 4 * 68 });
  expect(launchOf('pass<Tf32, 128, true>', source)).toEqual({ block: 128, dynamicShared: 128 });
  expect(launchOf('unknown', source)).toEqual({ block: null, dynamicShared: 0 });
  expect(launchOf('absent', source)).toEqual({ block: null, dynamicShared: null });
});

test('names are short', () => {
  const name =
    'void fles::cuda::(anonymous namespace)::pass<fles::cuda::Tf32, 64, true>(fles::cuda::(anonymous namespace)::A)';
  expect(shortName(name)).toBe('pass<Tf32, 64, true>');
  expect(shortName('fles::cuda::copy_rows(float const*, int const*, int)')).toBe('copy_rows');
});

test('instructions are counted, and those of the longest loop that has no other in it', () => {
  const instructions = [
    'LDS R0, [R1] ;',
    'HMMA.1688.F32.TF32 R0, R0, R2, R4 ;', // 0x10
    '@!P0 BRA 0x10 ;',
    'BAR.SYNC.DEFER_BLOCKING 0x0 ;', // 0x30
    '@P1 BRA 0x60 ;', // forward
    'IADD3 R0, R0, 0x1, RZ ;',
    '@!P2 BRA P3, 0x30 ;',
    'BRA 0x0 ;',
    'EXIT ;',
    'BRA 0x90 ;', // to itself
  ];
  const lines = instructions.map(
    (text, i) => `        /*${(16 * i).toString(16).padStart(4, '0')}*/    ${text}  /* 0x5 */`,
  );
  const sass = ['arch = sm_80', '\t\tFunction : head', ...lines, '\t\tFunction : other', lines[0]].join('\n');
  const found = { sm_80: { head: {}, other: {} } };
  countInstructions(sass, found);
  expect(found.sm_80.head).toMatchObject({ HMMA: 1, IMMA: 0, BAR: 1, floatAtomics: 0, loop: 4 });
  expect(found.sm_80.other).toMatchObject({ HMMA: 0, loop: 0 });
});
