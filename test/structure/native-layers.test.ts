import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { filesWithCuda, type NativeFile, wrongIncludes } from './native-rules.ts';

const NATIVE = join(PACKAGE_ROOT, 'native');
const INCLUDE = /^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|(<[^>]+>))/gm;

/** Reads every C++ file but those of third parties. */
function readNativeTexts(): Map<string, string> {
  const paths = readdirSync(NATIVE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(h|cc|cu|cuh)$/.test(entry.name))
    .map((entry) => relative(NATIVE, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('third_party/'));
  return new Map(paths.map((path) => [path, readFileSync(join(NATIVE, path), 'utf8')]));
}

const TEXTS = readNativeTexts();
const FILES: readonly NativeFile[] = [...TEXTS].map(([path, text]) => {
  const includes = [...text.matchAll(INCLUDE)].map(([, ours, theirs]) => ours ?? theirs ?? '');
  return { path, includes };
});
/** The emulator's part of a header, among the tests. */
const TWIN = 'simt/device_functions.h';

describe('the layers of native', () => {
  it('include only what lies below them', () => {
    assert.deepEqual(wrongIncludes(FILES), []);
  });

  it('include only files that exist', () => {
    const known = new Set(FILES.map(({ path }) => path));
    const missing = FILES.flatMap(({ path, includes }) =>
      includes
        .filter((one) => !known.has(one) && one !== TWIN && !/^(<|nlohmann\/)/.test(one))
        .map((one) => `${path} → ${one}`),
    );

    assert.deepEqual(missing, []);
  });

  it('speak CUDA in two files', () => {
    assert.deepEqual(filesWithCuda(TEXTS), []);
  });

  for (const word of [
    'Kernel<<<1, 2>>>()',
    'asm volatile("")',
    '__syncthreads();',
    'cudaMalloc(p',
  ]) {
    it(`would show a file of kernels with ${word}`, () => {
      const mutated = new Map([...TEXTS, ['kernels/cuda/norm_ops.cu', word]]);

      assert.deepEqual(filesWithCuda(mutated), ['kernels/cuda/norm_ops.cu']);
    });
  }

  const forbidden: readonly (readonly [string, string])[] = [
    // A file includes a layer above it.
    ['base/status.h', 'device/memory.h'],
    ['device/memory.cc', 'kernels/ops.h'],
    ['kernels/cpu/gemm_ops.cc', 'model/layers/workspace.h'],
    ['model/decoder/decoder.cc', 'binding/engine.h'],
    // A file includes a room beside its own.
    ['model/checkpoint/checkpoint.cc', 'model/layers/workspace.h'],
    ['model/layers/layer_ops.h', 'model/encoder/tower.h'],
    ['model/decoder/decoder.cc', 'model/encoder/tower.h'],
    ['model/encoder/encoder.cc', 'model/decoder/decoder_config.h'],
    ['model/preprocess/mel.cc', 'model/checkpoint/json.h'],
    ['kernels/reference/gemm.cc', 'kernels/simd/gemm.h'],
    ['kernels/sampling/sampler.cc', 'kernels/cpu/cpu_context.h'],
    ['kernels/cuda/memory_ops.cc', 'kernels/cpu/cpu_context.h'],
    // A model includes things that it must not depend on: kinds of device, levels of kernels,
    // cores.
    ['model/decoder/decoder_load.cc', 'kernels/dispatch.h'],
    ['model/decoder/decoder_load.cc', 'kernels/open_device.h'],
    ['model/encoder/vit.cc', 'kernels/kernels.h'],
    ['model/encoder/vit.cc', 'kernels/avx2/vector.h'],
    ['model/encoder/encoder.cc', 'kernels/cpu/cpu_context.h'],
    ['model/encoder/encoder.cc', 'device/pin_thread.h'],
    ['model/decoder/decoder.cc', 'kernels/sampling/sampler.h'],
    // An instruction set's folder includes shared code, which would then have wide instructions.
    ['kernels/avx2/avx2.cc', 'base/float_bits.h'],
    ['kernels/avx512/avx512.cc', 'kernels/avx2/vector.h'],
    ['kernels/avx512_bf16/avx512_bf16.cc', 'kernels/packing/convert.h'],
    ['kernels/simd/gemm.h', 'base/check.h'],
    ['kernels/simd/gemm.h', '<vector>'],
    ['kernels/avx2/vector.h', '<algorithm>'],
    ['kernels/kernels.h', 'base/status.h'],
    // A file includes the header of a package or processor that only other rooms may include.
    ['model/decoder/decoder.cc', '<napi.h>'],
    ['kernels/cpu/row_ops.cc', '<immintrin.h>'],
    ['kernels/cuda/norm_ops.cu', '<cuda_runtime_api.h>'],
    ['device/gpu_driver.cc', '<nvml.h>'],
    ['model/decoder/decoder_config.cc', 'nlohmann/json.hpp'],
    // A file is in a folder that the rules do not name.
    ['kernels/unknown.cc', 'kernels/packing/convert.h'],
    ['model/mutant.cc', 'base/status.h'],
  ];
  for (const [path, header] of forbidden) {
    it(`would show that ${path} includes ${header}`, () => {
      const mutated = FILES.map((file) =>
        file.path === path ? { ...file, includes: [...file.includes, header] } : file,
      );
      const all = mutated.some((file) => file.path === path)
        ? mutated
        : [...mutated, { path, includes: [header] }];

      assert.deepEqual(wrongIncludes(all), [`${path} → ${header}`]);
    });
  }
});
