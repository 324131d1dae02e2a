#ifndef AUTOGLM_KERNELS_CUDA_SIMT_H_
#define AUTOGLM_KERNELS_CUDA_SIMT_H_

// What kernels of a GPU are written with. Intrinsics and PTX stand here and nowhere else, so that
// the same kernels also run on an emulator: with AUTOGLM_SIMT_EMULATOR this header takes every name
// below from the emulator's twin.
//
// A kernel is a struct:
//   struct Scale {
//     struct Args { float* x; int count; };      // plain data
//     static constexpr int kThreads = 256;       // of a block, a multiple of 32
//     static constexpr int kMinBlocks = 2;       // of a multiprocessor at a time; may be missing
//     SIMT_DEVICE void operator()(const Args& args) const { … }
//   };
// and Launch<Scale>(stream, {.x = num_blocks}, shared_bytes, args) runs it behind what the stream
// was given before. Blocks are one-dimensional, shared memory is dynamic, and functions of a warp
// are called by all of its 32 lanes.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/runtime.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#define SIMT_DEVICE inline
#define SIMT_SHARED inline
#else
#define SIMT_DEVICE __device__ __forceinline__
#define SIMT_SHARED __host__ __device__ __forceinline__
#endif

namespace autoglm::cuda {

inline constexpr int kWarpSize = 32;

// Values that are loaded and stored by one instruction.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  static_assert(sizeof(T) * N <= 16, "an instruction moves at most 16 bytes");

  T at[N];

  SIMT_SHARED T& operator[](int i) { return at[i]; }
  SIMT_SHARED const T& operator[](int i) const { return at[i]; }
};

// A lane's part of N matrices of 8 by 8 numbers of 16 bits.
template <int N>
struct Fragment {
  uint32_t word[N];

  SIMT_SHARED uint32_t& operator[](int i) { return word[i]; }
  SIMT_SHARED const uint32_t& operator[](int i) const { return word[i]; }
};

// Whether a kernel waits for kernels of other GPUs: it says so by a member kMeetsPeers.
template <typename Kernel>
constexpr bool MeetsPeers() {
  if constexpr (requires { Kernel::kMeetsPeers; }) {
    return Kernel::kMeetsPeers;
  } else {
    return false;
  }
}

template <typename Kernel>
constexpr int MinBlocksOf() {
  if constexpr (requires { Kernel::kMinBlocks; }) {
    return Kernel::kMinBlocks;
  } else {
    return 1;
  }
}

}  // namespace autoglm::cuda

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/device_functions.h"
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

namespace autoglm::cuda {

// Where a thread is.

SIMT_DEVICE int ThreadIndex() { return static_cast<int>(threadIdx.x); }
SIMT_DEVICE int LaneIndex() { return static_cast<int>(threadIdx.x) % kWarpSize; }
SIMT_DEVICE int WarpIndex() { return static_cast<int>(threadIdx.x) / kWarpSize; }
SIMT_DEVICE Dim3 BlockIndex() {
  return {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y),
          static_cast<int>(blockIdx.z)};
}
SIMT_DEVICE Dim3 BlockCount() {
  return {static_cast<int>(gridDim.x), static_cast<int>(gridDim.y), static_cast<int>(gridDim.z)};
}

// Barriers. Those before them are seen by those behind them, among the threads that take part.

SIMT_DEVICE void SyncThreads() { __syncthreads(); }
// Returns whether `value` is true of all threads that have not ended.
SIMT_DEVICE bool SyncThreadsAnd(bool value) { return __syncthreads_and(value) != 0; }
SIMT_DEVICE void SyncWarp() { __syncwarp(); }
// Waits for `threads` threads, whole warps, at the barrier `id` of 1..15.
SIMT_DEVICE void SyncNamed(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Orders what this thread wrote before it for other blocks, which see it by an atomic operation.
SIMT_DEVICE void ThreadFence() { __threadfence(); }

// Values of other lanes. They order no memory.

inline constexpr unsigned kAllLanes = 0xffffffffu;

template <typename T>
SIMT_DEVICE T ShuffleXor(T value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}
template <typename T>
SIMT_DEVICE T ShuffleDown(T value, int distance) {
  return __shfl_down_sync(kAllLanes, value, distance);
}
template <typename T>
SIMT_DEVICE T ShuffleUp(T value, int distance) {
  return __shfl_up_sync(kAllLanes, value, distance);
}
template <typename T>
SIMT_DEVICE T ShuffleFrom(T value, int lane) {
  return __shfl_sync(kAllLanes, value, lane);
}
SIMT_DEVICE bool AnyInWarp(bool value) { return __any_sync(kAllLanes, value) != 0; }
SIMT_DEVICE bool AllInWarp(bool value) { return __all_sync(kAllLanes, value) != 0; }
SIMT_DEVICE uint32_t Ballot(bool value) { return __ballot_sync(kAllLanes, value); }

// Memory.

SIMT_DEVICE std::byte* SharedMemory() {
  extern __shared__ __align__(1024) std::byte shared_memory[];
  return shared_memory;
}

// Reads what nobody will read again, past the nearest cache.
template <typename T, int N>
SIMT_DEVICE Vec<T, N> LoadStreamed(const Vec<T, N>* p) {
  static_assert(sizeof(T) * N == 16);
  uint4 bits;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(bits.x), "=r"(bits.y), "=r"(bits.z), "=r"(bits.w)
               : "l"(p));
  return std::bit_cast<Vec<T, N>>(bits);
}

SIMT_DEVICE float AtomicAdd(float* p, float value) { return atomicAdd(p, value); }
SIMT_DEVICE int AtomicAdd(int* p, int value) { return atomicAdd(p, value); }
SIMT_DEVICE unsigned AtomicAdd(unsigned* p, unsigned value) { return atomicAdd(p, value); }
SIMT_DEVICE int AtomicMax(int* p, int value) { return atomicMax(p, value); }
SIMT_DEVICE unsigned AtomicMax(unsigned* p, unsigned value) { return atomicMax(p, value); }
SIMT_DEVICE int AtomicCas(int* p, int expected, int value) {
  return atomicCAS(p, expected, value);
}
SIMT_DEVICE unsigned AtomicCas(unsigned* p, unsigned expected, unsigned value) {
  return atomicCAS(p, expected, value);
}

// Words by which GPUs wait for each other, in memory of any of them or in mapped memory of the host.
// What this thread did or saw done before it stores a word, is seen by whoever loads it so.

SIMT_DEVICE uint64_t LoadAcquireSystem(const uint64_t* p) {
  uint64_t value;
  asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(p) : "memory");
  return value;
}
SIMT_DEVICE void StoreReleaseSystem(uint64_t* p, uint64_t value) {
  asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
}
// Lets others go on while this thread looks at a word again and again.
SIMT_DEVICE void Pause() { __nanosleep(20); }
// Returns a time of the GPU.
SIMT_DEVICE uint64_t Nanoseconds() {
  uint64_t time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}

SIMT_DEVICE uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// Starts to copy 16 bytes, or to write 16 zeros if not `valid`. The thread has them after
// CopyAsyncWait, the others after a barrier behind it.
SIMT_DEVICE void CopyAsync16(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(shared)),
               "l"(global), "r"(bytes)
               : "memory");
}
// Makes a group of the copies since the last group.
SIMT_DEVICE void CopyAsyncCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most N of this thread's groups are under way.
template <int N>
SIMT_DEVICE void CopyAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Matrices. Lane 8 i + r gives the address of row r, 16 bytes, of matrix i; each lane gets two
// numbers of row lane / 4 of each matrix, or of column lane / 4 if transposed.

SIMT_DEVICE Fragment<4> LoadMatrixX4(const void* shared_row) {
  Fragment<4> m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(SharedAddress(shared_row))
               : "memory");
  return m;
}
SIMT_DEVICE Fragment<4> LoadMatrixX4Transposed(const void* shared_row) {
  Fragment<4> m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(SharedAddress(shared_row))
               : "memory");
  return m;
}
// Lanes 0..15 give the addresses; those of the others are not read.
SIMT_DEVICE Fragment<2> LoadMatrixX2(const void* shared_row) {
  Fragment<2> m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(m[0]), "=r"(m[1])
               : "r"(SharedAddress(shared_row))
               : "memory");
  return m;
}

// d += a * b of [16, depth] by [depth, 8], in the fragments of mma.sync of the PTX manual: depth is
// 16 for numbers of two bytes, 32 for those of one.

SIMT_DEVICE void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SIMT_DEVICE void MmaF16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SIMT_DEVICE void MmaInt8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// e4m3; of GPUs of 8.9 and newer, others stop.
SIMT_DEVICE void MmaFp8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 890
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

// Numbers. Conversions round to nearest, ties to even.

SIMT_DEVICE float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
SIMT_DEVICE uint16_t FloatToBf16(float value) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}
SIMT_DEVICE float RoundBf16(float value) { return Bf16ToFloat(FloatToBf16(value)); }
// `low` is the number of the lower address.
SIMT_DEVICE uint32_t PackBf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
SIMT_DEVICE float F16ToFloat(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
SIMT_DEVICE uint16_t FloatToF16(float value) { return __half_as_ushort(__float2half_rn(value)); }
SIMT_DEVICE uint32_t PackF16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
// e4m3; what is larger than 448 becomes 448.
SIMT_DEVICE uint8_t FloatToFp8(float value) {
  return __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
}
SIMT_DEVICE float Fp8ToFloat(uint8_t bits) {
  return __half2float(__half(__nv_cvt_fp8_to_halfraw(bits, __NV_E4M3)));
}
SIMT_DEVICE int RoundToInt(float value) { return __float2int_rn(value); }

SIMT_DEVICE float Fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
SIMT_DEVICE float Abs(float value) { return fabsf(value); }
SIMT_DEVICE float Exp(float value) { return __expf(value); }
SIMT_DEVICE float Exp2(float value) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(value));
  return y;
}
SIMT_DEVICE float Log(float value) { return logf(value); }
SIMT_DEVICE float Erf(float value) { return erff(value); }
SIMT_DEVICE float Sqrt(float value) { return sqrtf(value); }
SIMT_DEVICE float Rsqrt(float value) { return rsqrtf(value); }
// Adds the products of four int8 by four int8.
SIMT_DEVICE int Dp4a(int a, int b, int sum) { return __dp4a(a, b, sum); }
// Returns a * b + c of pairs of bfloat16, subnormal ones included.
SIMT_DEVICE uint32_t FmaBf16x2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t sum;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
  return sum;
}
// Chooses four of the eight bytes of low and high, one for each nibble of the selector.
SIMT_DEVICE uint32_t PermuteBytes(uint32_t low, uint32_t high, uint32_t selector) {
  return __byte_perm(low, high, selector);
}

// Returns the value, of which the compiler then knows nothing: what depends on it is computed where it
// is used, instead of before a loop, where it would hold registers.
SIMT_DEVICE int Opaque(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, MinBlocksOf<Kernel>())
    RunKernel(const __grid_constant__ typename Kernel::Args args) {
  Kernel()(args);
}

template <typename Kernel>
const void* EntryOf() {
  return reinterpret_cast<const void*>(&RunKernel<Kernel>);
}

}  // namespace autoglm::cuda

#endif

namespace autoglm::cuda {

template <typename Kernel>
inline const KernelEntry kKernelEntry{EntryOf<Kernel>()};

// Returns a text with the kernel's name.
template <typename Kernel>
const char* SignatureOf() {
  return __PRETTY_FUNCTION__;
}

// Runs the kernel behind what the stream was given before. A grid with a side of zero is nothing.
template <typename Kernel>
void Launch(Stream& stream, Dim3 grid, size_t shared_bytes, const typename Kernel::Args& args) {
  static_assert(Kernel::kThreads % kWarpSize == 0 && Kernel::kThreads <= 1024);
  static_assert(std::is_trivially_copyable_v<typename Kernel::Args>);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  LaunchKernel(stream, {.name = SignatureOf<Kernel>(),
                        .entry = kKernelEntry<Kernel>.entry,
                        .args = &args,
                        .args_bytes = sizeof(args),
                        .threads = Kernel::kThreads,
                        .grid = grid,
                        .shared_bytes = shared_bytes,
                        .meets_peers = MeetsPeers<Kernel>()});
}

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_SIMT_H_
