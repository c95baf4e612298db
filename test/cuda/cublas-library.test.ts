import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileShared } from './children';

// How cuBLAS and cuBLASLt are found (cuda/cublas_library.cpp), which the emulator has no need of: a program with that
// source alone, and libraries that have nothing but their names.
const root = join(__dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'fles-cublas-'));
afterAll(() => rmSync(folder, { recursive: true }));
const program = join(folder, 'find');

beforeAll(() => {
  const main = join(folder, 'main.cpp');
  writeFileSync(
    main,
    `#include <cstdio>
    #include <cstdlib>
    #include "cublas.h"
    cudaError_t cudaDriverGetVersion(int* version) {
      *version = std::atoi(std::getenv("DRIVER"));
      return cudaSuccess;
    }
    int main() {
      const char* reason = nullptr;
      const cublas::Library* found = cublas::library(&reason);
      cublas::Handle handle = nullptr;
      if (found == nullptr) std::printf("%s", reason);
      else std::printf("version %d", found->create(&handle));
      cublas::Matmul matmul = nullptr;
      if (found != nullptr && found->lt.multiply != nullptr) {
        std::printf(", cuBLASLt %d", found->lt.create_matmul(&matmul, cublas::kCompute32F, cublas::kFloat32));
      }
    }`,
  );
  const flags = ['-std=c++20', '-w', '-DFLES_CUDA_EMULATED=1', '-I', join(root, 'cuda'), '-I', join(root, 'cpp')];
  const sources = [main, join(root, 'cuda/cublas_library.cpp')];
  execFileSync(process.env.CXX || 'g++', [...flags, ...sources, '-o', program, '-ldl'], { stdio: 'inherit' });
});

const FUNCTIONS = [
  'cublasCreate_v2',
  'cublasDestroy_v2',
  'cublasSetStream_v2',
  'cublasSetWorkspace_v2',
  'cublasGemmEx',
];

const LT_FUNCTIONS = [
  'cublasLtMatmulDescCreate',
  'cublasLtMatmulDescDestroy',
  'cublasLtMatmulDescSetAttribute',
  'cublasLtMatrixLayoutCreate',
  'cublasLtMatrixLayoutDestroy',
  'cublasLtMatmulPreferenceCreate',
  'cublasLtMatmulPreferenceDestroy',
  'cublasLtMatmulPreferenceSetAttribute',
  'cublasLtMatmulAlgoGetHeuristic',
  'cublasLtMatmul',
];

/** By version, the functions of a library; a text in their place is the content of a broken file. */
type Versions = Record<number, string[] | string>;

/** What is found where these versions of cuBLAS and of cuBLASLt are. */
function found(name: string, versions: Versions, driver = '13000', ltVersions: Versions = {}): string {
  const here = join(folder, name);
  mkdirSync(here);
  const write = (library: string, all: Versions) => {
    for (const [version, functions] of Object.entries(all)) {
      const path = join(here, `lib${library}.so.${version}`);
      if (typeof functions === 'string') writeFileSync(path, functions);
      else compileShared(path, functions.map((one) => `extern "C" int ${one}() { return ${version}; }\n`).join(''));
    }
  };
  write('cublas', versions);
  write('cublasLt', ltVersions);
  const { stdout } = spawnSync(program, {
    encoding: 'utf8',
    env: { ...process.env, LD_LIBRARY_PATH: here, DRIVER: driver },
  });
  return stdout;
}

test('the newest cuBLAS that loads is taken', () => {
  expect(found('all', { 11: FUNCTIONS, 12: FUNCTIONS, 13: FUNCTIONS })).toBe('version 13');
  expect(found('two', { 11: FUNCTIONS, 12: FUNCTIONS })).toBe('version 12');
  expect(found('one', { 11: FUNCTIONS })).toBe('version 11');
  expect(found('broken', { 13: 'not a library', 11: FUNCTIONS })).toBe('version 11');
});

test('no cuBLAS is taken that is newer than the driver', () => {
  expect(found('old driver', { 12: FUNCTIONS, 13: FUNCTIONS }, '12090')).toBe('version 12');
  expect(found('older driver', { 13: FUNCTIONS }, '12090')).toMatch(/^cuBLAS was not found/);
});

test('without cuBLAS, or one of its functions, the reason says so', () => {
  expect(found('none', {})).toMatch(
    /^cuBLAS was not found: none of libcublas\.so\.13, \.12 and \.11 loads that is no newer than the driver; install/,
  );
  for (const missing of FUNCTIONS) {
    const others = FUNCTIONS.filter((name) => name !== missing);
    expect(found(`without ${missing}`, { 12: others }), missing).toBe(
      'cuBLAS lacks a function that is needed; install version 11.3 or later',
    );
  }
});

test('cuBLASLt is that of the version of cuBLAS, with all of its functions, or none', () => {
  const find = (name: string, lt: Versions) => found(name, { 12: FUNCTIONS }, '13000', lt);
  expect(find('lt', { 11: LT_FUNCTIONS, 12: LT_FUNCTIONS, 13: LT_FUNCTIONS })).toBe('version 12, cuBLASLt 12');
  expect(find('lt of others', { 11: LT_FUNCTIONS, 13: LT_FUNCTIONS })).toBe('version 12');
  expect(find('broken lt', { 12: 'not a library' })).toBe('version 12');
  for (const missing of LT_FUNCTIONS) {
    const others = LT_FUNCTIONS.filter((name) => name !== missing);
    expect(find(`lt without ${missing}`, { 12: others }), missing).toBe('version 12');
  }
});
