/**
 * One C++ file of `native/` with its path from there. `<…>` marks the headers of a system or
 * package.
 */
export interface NativeFile {
  readonly path: string;
  readonly includes: readonly string[];
}

/**
 * Files that a model may include from below: operations, memory and threads, but no kind of device.
 */
const BELOW_MODEL = [
  'base/',
  'device/device_id.h',
  'device/host_memory.h',
  'device/memory.h',
  'device/shared_memory.h',
  'device/thread_pool.h',
  'kernels/image_kernels.h',
  'kernels/ops.h',
  'kernels/sampling/token_choice.h',
];

/**
 * Files that kernels of an instruction set may include. An inline function of any other shared
 * header would become a weak symbol.
 */
const BELOW_VECTORS = ['kernels/image_kernels.h', 'kernels/kernels.h', 'kernels/simd/'];

/**
 * Files, or rooms (names that end in a slash), that each room may include besides itself. The
 * longest name with which a path begins is its room.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'base/': [],
  'device/': ['base/'],
  'kernels/': [
    'base/',
    'device/',
    'kernels/cpu/cpu_ops.h',
    'kernels/cuda/cuda_library.h',
    'kernels/image_kernels.h',
    'kernels/kernels.h',
    'kernels/ops.h',
    'kernels/sampling/token_choice.h',
  ],
  'kernels/kernels.h': [
    'base/dtype.h',
    'base/kv_dtype.h',
    'base/weight_format.h',
    'kernels/image_kernels.h',
  ],
  'kernels/reference/': ['base/', 'kernels/kernels.h'],
  'kernels/simd/': ['kernels/kernels.h'],
  'kernels/avx2/': BELOW_VECTORS,
  'kernels/avx512/': BELOW_VECTORS,
  'kernels/avx512_vnni/': [...BELOW_VECTORS, 'kernels/avx2/image.h', 'kernels/avx512/vector.h'],
  'kernels/avx512_bf16/': [
    ...BELOW_VECTORS,
    'kernels/avx512/vector.h',
    'kernels/avx512_vnni/vector.h',
  ],
  'kernels/amx/': [
    ...BELOW_VECTORS,
    'kernels/avx512/vector.h',
    'kernels/avx512_vnni/vector.h',
    'kernels/avx512_bf16/vector.h',
  ],
  'kernels/sampling/': ['base/', 'kernels/kernels.h'],
  'kernels/packing/': ['base/', 'device/memory.h', 'kernels/kernels.h', 'kernels/ops.h'],
  'kernels/group/': ['base/', 'device/spin_wait.h', 'device/thread_pool.h'],
  'kernels/cpu/': [
    'base/',
    'device/',
    'kernels/group/',
    'kernels/kernels.h',
    'kernels/ops.h',
    'kernels/packing/',
    'kernels/sampling/',
  ],
  'kernels/cuda/': [
    'base/',
    'device/',
    'kernels/cuda/simt.h',
    'kernels/dispatch.h',
    'kernels/group/device_group.h',
    'kernels/kernels.h',
    'kernels/ops.h',
    'kernels/packing/',
    'kernels/sampling/',
  ],
  // The only files that see CUDA. The emulator's twin of the first is part of the tests.
  'kernels/cuda/simt.h': [
    'kernels/cuda/runtime.h',
    'simt/device_functions.h',
    '<cuda_bf16.h>',
    '<cuda_fp16.h>',
    '<cuda_fp8.h>',
  ],
  'kernels/cuda/runtime.cc': ['base/', 'kernels/cuda/runtime.h', '<cuda_runtime_api.h>'],
  'kernels/cuda/cuda_library.h': ['kernels/ops.h'],
  'kernels/cuda/cuda_library.cc': ['kernels/cuda/'],
  'model/checkpoint/': [...BELOW_MODEL, 'nlohmann/'],
  'model/weights/': [...BELOW_MODEL, 'model/checkpoint/'],
  'model/preprocess/': BELOW_MODEL,
  'model/layers/': [...BELOW_MODEL, 'model/weights/'],
  'model/graphs/': [...BELOW_MODEL, 'kernels/group/device_group.h', 'model/decoder/step_plan.h'],
  'model/decoder/': [
    ...BELOW_MODEL,
    'kernels/group/',
    'model/checkpoint/',
    'model/graphs/',
    'model/layers/',
    'model/weights/',
  ],
  'model/encoder/': [
    ...BELOW_MODEL,
    'model/checkpoint/',
    'model/layers/',
    'model/preprocess/',
    'model/weights/',
  ],
  'grammar/': ['base/'],
  'binding/': [
    'base/',
    'device/device_id.h',
    'device/shared_memory.h',
    'grammar/',
    'kernels/dispatch.h',
    'kernels/open_device.h',
    'model/',
    '<napi.h>',
  ],
};

/** Headers of packages and processors that only some rooms may include. */
const RESERVED = /^(<napi\.h>|<node_api\.h>|<\w*intrin\.h>|<cuda\w*\.h>|<nvml\.h>)$/;

/** Words of CUDA and PTX, which kernels take from one header. */
const CUDA_WORDS =
  /<<<|\basm\b|\b__(global__|device__|shared__|syncthreads|shfl\w*|ldg)\b|\bcuda[A-Z]\w*\(/;
const CUDA_FILES = ['kernels/cuda/simt.h', 'kernels/cuda/runtime.cc'];

/** Returns the files of kernels with words of CUDA that are not those that may have them. */
export function filesWithCuda(texts: ReadonlyMap<string, string>): string[] {
  return [...texts].flatMap(([path, text]) => {
    const mayNot = isIn(path, 'kernels/cuda/') && !CUDA_FILES.includes(path);
    return mayNot && CUDA_WORDS.test(text) ? [path] : [];
  });
}

/** Rooms that are compiled for an instruction set. */
const VECTOR_ROOMS = /^kernels\/(simd|avx\w*|amx\w*)\/$/;
/** System headers that these rooms may include. */
const VECTOR_HEADERS = /^<(\w*intrin\.h|cstddef|cstdint)>$/;

/** Returns the includes that the design does not allow, as `file → header`. */
export function wrongIncludes(files: readonly NativeFile[]): string[] {
  return files.flatMap(({ path, includes }) =>
    includes.filter((one) => !mayInclude(path, one)).map((one) => `${path} → ${one}`),
  );
}

function mayInclude(path: string, header: string): boolean {
  const room = roomOf(path);
  if (room === undefined) return false;
  if (ALLOWED[room]?.some((name) => header === name || isIn(header, name))) return true;
  if (VECTOR_ROOMS.test(room) && header.startsWith('<')) return VECTOR_HEADERS.test(header);
  if (header.startsWith('<')) return !RESERVED.test(header);
  return roomOf(header) === room;
}

function isIn(header: string, room: string): boolean {
  return room.endsWith('/') && header.startsWith(room);
}

/** Returns the longest name of the table with which a path begins. */
function roomOf(path: string): string | undefined {
  return Object.keys(ALLOWED)
    .filter((name) => path === name || isIn(path, name))
    .sort((a, b) => b.length - a.length)[0];
}
