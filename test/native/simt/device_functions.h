#ifndef AUTOGLM_TEST_NATIVE_SIMT_DEVICE_FUNCTIONS_H_
#define AUTOGLM_TEST_NATIVE_SIMT_DEVICE_FUNCTIONS_H_

// The emulator's twin of what kernels/cuda/simt.h takes from a GPU, included by it.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <source_location>

#include "base/float_bits.h"

namespace autoglm::simt {

// Everything that is not inline is compiled without instrumentation, and judges what it touches
// itself.

using Place = std::source_location;

int ThreadIndex();
cuda::Dim3 BlockIndex();
cuda::Dim3 BlockCount();
std::byte* SharedMemory();
void SyncThreads(const Place& where);
bool SyncThreadsAnd(bool value, const Place& where);
void SyncNamed(int id, int threads, const Place& where);
void SyncWarp(const Place& where);
void ThreadFence();

// Returns the value of another lane.
uint32_t Shuffle(uint32_t value, int source_lane, const Place& where);
uint32_t Ballot(bool value, const Place& where);

uint32_t AtomicAdd(uint32_t* p, uint32_t value);
float AtomicAdd(float* p, float value);
int AtomicMax(int* p, int value);
uint32_t AtomicMax(uint32_t* p, uint32_t value);
uint32_t AtomicCas(uint32_t* p, uint32_t expected, uint32_t value);

uint64_t LoadAcquireSystem(const uint64_t* p);
void StoreReleaseSystem(uint64_t* p, uint64_t value);
void Pause();
uint64_t Nanoseconds();

void CopyAsync16(void* shared, const void* global, bool valid);
void CopyAsyncCommit();
void CopyAsyncWait(int max_pending);

struct LoadMatrixOperand {
  const void* row;
  int num_matrices;
  bool is_transposed = false;
  uint32_t words[4] = {};
};
void LoadMatrix(LoadMatrixOperand& operand, const Place& where);

enum class MmaType { kBf16, kF16, kInt8, kFp8 };
struct MmaOperand {
  uint32_t a[4];
  uint32_t b[2];
  uint32_t d[4];  // float or int
};
void Mma(MmaType type, MmaOperand& operand, const Place& where);

uint8_t FloatToFp8(float value);
float Fp8ToFloat(uint8_t bits);

}  // namespace autoglm::simt

namespace autoglm::cuda {

SIMT_DEVICE int ThreadIndex() { return simt::ThreadIndex(); }
SIMT_DEVICE int LaneIndex() { return ThreadIndex() % kWarpSize; }
SIMT_DEVICE int WarpIndex() { return ThreadIndex() / kWarpSize; }
SIMT_DEVICE Dim3 BlockIndex() { return simt::BlockIndex(); }
SIMT_DEVICE Dim3 BlockCount() { return simt::BlockCount(); }

SIMT_DEVICE void SyncThreads(const simt::Place& where = simt::Place::current()) {
  simt::SyncThreads(where);
}
SIMT_DEVICE bool SyncThreadsAnd(bool value, const simt::Place& where = simt::Place::current()) {
  return simt::SyncThreadsAnd(value, where);
}
SIMT_DEVICE void SyncWarp(const simt::Place& where = simt::Place::current()) {
  simt::SyncWarp(where);
}
SIMT_DEVICE void SyncNamed(int id, int threads,
                           const simt::Place& where = simt::Place::current()) {
  simt::SyncNamed(id, threads, where);
}
SIMT_DEVICE void ThreadFence() { simt::ThreadFence(); }

template <typename T>
SIMT_DEVICE T ShuffleFrom(T value, int lane, const simt::Place& where = simt::Place::current()) {
  return std::bit_cast<T>(simt::Shuffle(std::bit_cast<uint32_t>(value), lane % kWarpSize, where));
}
template <typename T>
SIMT_DEVICE T ShuffleXor(T value, int mask, const simt::Place& where = simt::Place::current()) {
  return ShuffleFrom(value, LaneIndex() ^ mask, where);
}
template <typename T>
SIMT_DEVICE T ShuffleDown(T value, int distance,
                          const simt::Place& where = simt::Place::current()) {
  const int lane = LaneIndex() + distance;
  return ShuffleFrom(value, lane < kWarpSize ? lane : LaneIndex(), where);
}
template <typename T>
SIMT_DEVICE T ShuffleUp(T value, int distance, const simt::Place& where = simt::Place::current()) {
  const int lane = LaneIndex() - distance;
  return ShuffleFrom(value, lane >= 0 ? lane : LaneIndex(), where);
}
SIMT_DEVICE uint32_t Ballot(bool value, const simt::Place& where = simt::Place::current()) {
  return simt::Ballot(value, where);
}
SIMT_DEVICE bool AnyInWarp(bool value, const simt::Place& where = simt::Place::current()) {
  return Ballot(value, where) != 0;
}
SIMT_DEVICE bool AllInWarp(bool value, const simt::Place& where = simt::Place::current()) {
  return Ballot(value, where) == 0xffffffffu;
}

SIMT_DEVICE std::byte* SharedMemory() { return simt::SharedMemory(); }

template <typename T, int N>
SIMT_DEVICE Vec<T, N> LoadStreamed(const Vec<T, N>* p) {
  static_assert(sizeof(T) * N == 16);
  return *p;
}

SIMT_DEVICE float AtomicAdd(float* p, float value) { return simt::AtomicAdd(p, value); }
SIMT_DEVICE int AtomicAdd(int* p, int value) {
  return static_cast<int>(
      simt::AtomicAdd(reinterpret_cast<uint32_t*>(p), static_cast<uint32_t>(value)));
}
SIMT_DEVICE unsigned AtomicAdd(unsigned* p, unsigned value) { return simt::AtomicAdd(p, value); }
SIMT_DEVICE int AtomicMax(int* p, int value) { return simt::AtomicMax(p, value); }
SIMT_DEVICE unsigned AtomicMax(unsigned* p, unsigned value) { return simt::AtomicMax(p, value); }
SIMT_DEVICE int AtomicCas(int* p, int expected, int value) {
  return static_cast<int>(simt::AtomicCas(reinterpret_cast<uint32_t*>(p),
                                          static_cast<uint32_t>(expected),
                                          static_cast<uint32_t>(value)));
}
SIMT_DEVICE unsigned AtomicCas(unsigned* p, unsigned expected, unsigned value) {
  return simt::AtomicCas(p, expected, value);
}

SIMT_DEVICE uint64_t LoadAcquireSystem(const uint64_t* p) { return simt::LoadAcquireSystem(p); }
SIMT_DEVICE void StoreReleaseSystem(uint64_t* p, uint64_t value) {
  simt::StoreReleaseSystem(p, value);
}
SIMT_DEVICE void Pause() { simt::Pause(); }
SIMT_DEVICE uint64_t Nanoseconds() { return simt::Nanoseconds(); }

SIMT_DEVICE void CopyAsync16(void* shared, const void* global, bool valid) {
  simt::CopyAsync16(shared, global, valid);
}
SIMT_DEVICE void CopyAsyncCommit() { simt::CopyAsyncCommit(); }
template <int N>
SIMT_DEVICE void CopyAsyncWait() {
  simt::CopyAsyncWait(N);
}

SIMT_DEVICE Fragment<4> LoadMatrixX4(const void* shared_row,
                                     const simt::Place& where = simt::Place::current()) {
  simt::LoadMatrixOperand operand = {.row = shared_row, .num_matrices = 4};
  simt::LoadMatrix(operand, where);
  return {{operand.words[0], operand.words[1], operand.words[2], operand.words[3]}};
}
SIMT_DEVICE Fragment<4> LoadMatrixX4Transposed(const void* shared_row,
                                               const simt::Place& where = simt::Place::current()) {
  simt::LoadMatrixOperand operand = {.row = shared_row, .num_matrices = 4, .is_transposed = true};
  simt::LoadMatrix(operand, where);
  return {{operand.words[0], operand.words[1], operand.words[2], operand.words[3]}};
}
SIMT_DEVICE Fragment<2> LoadMatrixX2(const void* shared_row,
                                     const simt::Place& where = simt::Place::current()) {
  simt::LoadMatrixOperand operand = {.row = shared_row, .num_matrices = 2};
  simt::LoadMatrix(operand, where);
  return {{operand.words[0], operand.words[1]}};
}

// The operands are copied, so that a kernel's own arrays stay registers, whose accesses nobody
// looks at.
template <simt::MmaType kType, typename T>
SIMT_DEVICE void MultiplyAdd(T (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             const simt::Place& where) {
  simt::MmaOperand operand = {.a = {a[0], a[1], a[2], a[3]},
                              .b = {b[0], b[1]},
                              .d = {std::bit_cast<uint32_t>(d[0]), std::bit_cast<uint32_t>(d[1]),
                                    std::bit_cast<uint32_t>(d[2]), std::bit_cast<uint32_t>(d[3])}};
  simt::Mma(kType, operand, where);
  for (int i = 0; i < 4; ++i) d[i] = std::bit_cast<T>(operand.d[i]);
}
SIMT_DEVICE void MmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         const simt::Place& where = simt::Place::current()) {
  MultiplyAdd<simt::MmaType::kBf16>(d, a, b, where);
}
SIMT_DEVICE void MmaF16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                        const simt::Place& where = simt::Place::current()) {
  MultiplyAdd<simt::MmaType::kF16>(d, a, b, where);
}
SIMT_DEVICE void MmaInt8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         const simt::Place& where = simt::Place::current()) {
  MultiplyAdd<simt::MmaType::kInt8>(d, a, b, where);
}
SIMT_DEVICE void MmaFp8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                        const simt::Place& where = simt::Place::current()) {
  MultiplyAdd<simt::MmaType::kFp8>(d, a, b, where);
}

SIMT_DEVICE float Bf16ToFloat(uint16_t bits) { return BFloat16ToFloat(bits); }
SIMT_DEVICE uint16_t FloatToBf16(float value) { return FloatToBFloat16(value); }
SIMT_DEVICE float RoundBf16(float value) { return Bf16ToFloat(FloatToBf16(value)); }
SIMT_DEVICE uint32_t PackBf16(float low, float high) {
  return FloatToBf16(low) | static_cast<uint32_t>(FloatToBf16(high)) << 16;
}
SIMT_DEVICE float F16ToFloat(uint16_t bits) { return Float16ToFloat(bits); }
SIMT_DEVICE uint16_t FloatToF16(float value) { return FloatToFloat16(value); }
SIMT_DEVICE uint32_t PackF16(float low, float high) {
  return FloatToF16(low) | static_cast<uint32_t>(FloatToF16(high)) << 16;
}
SIMT_DEVICE uint8_t FloatToFp8(float value) { return simt::FloatToFp8(value); }
SIMT_DEVICE float Fp8ToFloat(uint8_t bits) { return simt::Fp8ToFloat(bits); }
// Saturates as a GPU does, where a NaN becomes zero.
SIMT_DEVICE int RoundToInt(float value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p31f) return INT32_MAX;
  if (value < -0x1p31f) return INT32_MIN;
  return static_cast<int>(std::nearbyint(value));
}

SIMT_DEVICE float Fma(float a, float b, float c) { return std::fma(a, b, c); }
SIMT_DEVICE float Abs(float value) { return std::fabs(value); }
SIMT_DEVICE float Exp(float value) { return std::exp(value); }
SIMT_DEVICE float Exp2(float value) { return std::exp2(value); }
SIMT_DEVICE float Log(float value) { return std::log(value); }
SIMT_DEVICE float Erf(float value) { return std::erf(value); }
SIMT_DEVICE float Sqrt(float value) { return std::sqrt(value); }
SIMT_DEVICE float Rsqrt(float value) { return 1.0f / std::sqrt(value); }
SIMT_DEVICE int Dp4a(int a, int b, int sum) {
  for (int shift = 0; shift < 32; shift += 8) {
    sum += static_cast<int8_t>(a >> shift) * static_cast<int8_t>(b >> shift);
  }
  return sum;
}
// A product of bfloat16 is exact in float32, and so rounded where the sum is, and once more to bfloat16.
SIMT_DEVICE uint32_t FmaBf16x2(uint32_t a, uint32_t b, uint32_t c) {
  const auto half = [](uint32_t pair, int shift) {
    return Bf16ToFloat(static_cast<uint16_t>(pair >> shift));
  };
  return PackBf16(std::fma(half(a, 0), half(b, 0), half(c, 0)),
                  std::fma(half(a, 16), half(b, 16), half(c, 16)));
}
SIMT_DEVICE uint32_t PermuteBytes(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t bytes = low | static_cast<uint64_t>(high) << 32;
  uint32_t chosen = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t index = selector >> (4 * i) & 7u;
    chosen |= static_cast<uint32_t>(bytes >> (8 * index) & 0xffu) << (8 * i);
  }
  return chosen;
}

SIMT_DEVICE int Opaque(int value) { return value; }

// What one thread of the kernel does.
template <typename Kernel>
void RunThread(const void* args) {
  Kernel()(*static_cast<const typename Kernel::Args*>(args));
}

template <typename Kernel>
const void* EntryOf() {
  return reinterpret_cast<const void*>(&RunThread<Kernel>);
}

}  // namespace autoglm::cuda

#endif  // AUTOGLM_TEST_NATIVE_SIMT_DEVICE_FUNCTIONS_H_
