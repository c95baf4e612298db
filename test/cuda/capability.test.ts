import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileShared, inProcess, NORMED } from './children';

/** What happens on emulated devices of these compute capabilities. */
const on = (capability: number | string, script: string, devices = 1) =>
  inProcess<Record<string, unknown>>(
    { FLES_EMULATE_CAPABILITY: String(capability), FLES_EMULATE_DEVICES: String(devices) },
    script,
  );

const ATTENTION = (width: number) => `
const args = { B: 1, T: 2, C: ${width}, H: 1, seed: 0, dropout: 0, qkv: new Float32Array(${6 * width}).fill(0.5),
  offsets: Int32Array.of(0, 2), out: new Float32Array(${2 * width}) };
const result = { cuda: native.platform().backends.find(({ name }) => name === 'cuda') };
try { native.runOp('cuda', 'attention', args); result.out = args.out[0]; } catch ({ code, message }) { Object.assign(result, { code, message }); }
console.log(JSON.stringify(result));`;

describe('a device', () => {
  test('of an older architecture is not available, and says so', () => {
    const reason = expect.stringMatching(/has the compute capability 7\.5, expected 8\.0 or more .*device cpu$/);
    const { cuda, code, message } = on(75, ATTENTION(64));
    expect(cuda).toMatchObject({ available: false, reason });
    expect({ code, message }).toEqual({ code: 'ERR_DEVICE_UNAVAILABLE', message: reason });
  });

  test('with less shared memory a block takes narrow heads and refuses wide ones', () => {
    expect(on(86, ATTENTION(64)).out).toBeCloseTo(0.5, 5);
    expect(on(86, ATTENTION(128))).toMatchObject({
      code: 'ERR_DEVICE_LIMIT',
      message: expect.stringMatching(/attention takes \d+ bytes of shared memory a block, CUDA device 0 has 101376/),
    });
    expect(on(80, ATTENTION(128)).out).toBeCloseTo(0.5, 5);
  });

  test('that cannot be used does not hide one behind it', () => {
    const found = on(
      '75,80',
      `${NORMED}
      const { available, reason, description } = native.platform().backends.find(({ name }) => name === 'cuda');
      const [first, second, named, reference] = ['cuda:0', 'cuda:1', 'cuda', 'cpu'].map(normed);
      console.log(JSON.stringify({ available, reason, description, first, second, named, reference }));`,
      2,
    );
    expect(found).toMatchObject({
      available: true,
      reason: '',
      description: expect.stringMatching(/capability 7\.5, \d+ MiB, too old; .*capability 8\.0, \d+ MiB$/),
      first: { code: 'ERR_DEVICE_UNAVAILABLE', message: expect.stringMatching(/^CUDA device 0, .* 7\.5, expected/) },
    });
    const { second, named, reference } = found as Record<string, number[]>;
    expect(named).toEqual(second);
    for (const [i, value] of reference!.entries()) expect(second![i]).toBeCloseTo(value, 5);
  });

  test('is named in the reason when it is the first of several that cannot be used', () => {
    const { cuda } = on('75,70', ATTENTION(64), 2);
    expect(cuda).toMatchObject({
      available: false,
      reason: expect.stringMatching(/^CUDA device 0, .* 7\.5, expected/),
    });
  });
});

describe('auto', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fles-auto-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const library = join(folder, 'fles-cuda.so');
  // The emulated library, which auto does not take, under the name of one for devices.
  beforeAll(() =>
    compileShared(
      library,
      `#include <dlfcn.h>
      #include "backend/cuda_library.h"
      extern "C" __attribute__((visibility("default"))) const fles::CudaLibrary* fles_cuda_library() {
        void* handle = dlopen(${JSON.stringify(process.env.FLES_CUDA_LIBRARY)}, RTLD_NOW | RTLD_LOCAL);
        static fles::CudaLibrary own = *reinterpret_cast<const fles::CudaLibrary* (*)()>(dlsym(handle, "fles_cuda_library"))();
        own.emulated = false;
        return &own;
      }`,
    ),
  );

  test.each([
    ['75,80', 2, ['launch']],
    ['75,70', 2, []],
    ['80', 0, []],
  ])('takes the first device that can be used: of %s, %i in all, it launches %j', (capability, devices, launches) => {
    const log = join(folder, `${capability}-${devices}`);
    writeFileSync(log, '');
    const out = inProcess<number[]>(
      {
        FLES_CUDA_LIBRARY: library,
        FLES_EMULATE_CAPABILITY: capability,
        FLES_EMULATE_DEVICES: String(devices),
        FLES_EMULATE_LOG: log,
      },
      `${NORMED} console.log(JSON.stringify(normed('auto')));`,
    );
    expect(out).toHaveLength(35);
    const lines = readFileSync(log, 'utf8').split('\n');
    expect(lines.flatMap((line) => /launch$/.exec(line) ?? [])).toEqual(launches);
  });
});
