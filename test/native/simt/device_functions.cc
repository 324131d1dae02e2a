#include <array>
#include <atomic>
#include <utility>

#include "kernels/cuda/simt.h"
#include "simt/block.h"
#include "simt/device_memory.h"
#include "simt/emulated_gpu.h"

namespace autoglm::simt {
namespace {

Block& Running() { return *Block::Running(); }

// Row and depth of each number in the fragments of mma.sync for the matrix a of 16 rows: "Matrix
// Fragments for mma.m16n8k16" and "mma.m16n8k32" of the PTX manual. A register holds 32 bits, so
// `numbers` of them, and those of one register follow each other in depth.
struct FragmentPlace {
  int row;    // of a and d; column of b
  int depth;  // of the register's first number
};

FragmentPlace PlaceOfA(int lane, int word, int numbers) {
  const int row = lane / 4 + (word % 2 == 0 ? 0 : 8);
  return {row, (lane % 4 + (word < 2 ? 0 : 4)) * numbers};
}

FragmentPlace PlaceOfB(int lane, int word, int numbers) {
  return {lane / 4, (lane % 4 + 4 * word) * numbers};
}

// Number of 16 or 8 bits at place i of a register.
template <MmaType kType>
auto NumberAt(uint32_t word, int i) {
  if constexpr (kType == MmaType::kBf16) {
    return BFloat16ToFloat(static_cast<uint16_t>(word >> (16 * i)));
  } else if constexpr (kType == MmaType::kF16) {
    return Float16ToFloat(static_cast<uint16_t>(word >> (16 * i)));
  } else if constexpr (kType == MmaType::kInt8) {
    return static_cast<int>(static_cast<int8_t>(word >> (8 * i)));
  } else {
    return Fp8ToFloat(static_cast<uint8_t>(word >> (8 * i)));
  }
}

template <MmaType kType>
void PerformMma(const std::array<void*, kLanes>& operands) {
  using Number = decltype(NumberAt<kType>(0, 0));
  constexpr bool kIsWide = kType == MmaType::kBf16 || kType == MmaType::kF16;
  constexpr int kNumbers = kIsWide ? 2 : 4;  // of a register
  constexpr int kDepth = 8 * kNumbers;
  Number a[16][kDepth];
  Number b[kDepth][8];
  Number d[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const MmaOperand& operand = *static_cast<MmaOperand*>(operands[static_cast<size_t>(lane)]);
    for (int word = 0; word < 4; ++word) {
      const FragmentPlace place = PlaceOfA(lane, word, kNumbers);
      for (int i = 0; i < kNumbers; ++i) {
        a[place.row][place.depth + i] = NumberAt<kType>(operand.a[word], i);
      }
      d[lane / 4 + (word < 2 ? 0 : 8)][lane % 4 * 2 + word % 2] =
          std::bit_cast<Number>(operand.d[word]);
    }
    for (int word = 0; word < 2; ++word) {
      const FragmentPlace place = PlaceOfB(lane, word, kNumbers);
      for (int i = 0; i < kNumbers; ++i) {
        b[place.depth + i][place.row] = NumberAt<kType>(operand.b[word], i);
      }
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    MmaOperand& operand = *static_cast<MmaOperand*>(operands[static_cast<size_t>(lane)]);
    for (int word = 0; word < 4; ++word) {
      operand.d[word] = std::bit_cast<uint32_t>(
          d[lane / 4 + (word < 2 ? 0 : 8)][lane % 4 * 2 + word % 2]);
    }
  }
}

struct ShuffleOperand {
  uint32_t value;
  int source_lane;
  uint32_t result;
};

void PerformShuffle(const std::array<void*, kLanes>& operands) {
  for (void* each : operands) {
    ShuffleOperand& operand = *static_cast<ShuffleOperand*>(each);
    operand.result =
        static_cast<ShuffleOperand*>(operands[static_cast<size_t>(operand.source_lane)])->value;
  }
}

struct BallotOperand {
  bool value;
  uint32_t result;
};

void PerformBallot(const std::array<void*, kLanes>& operands) {
  uint32_t ballot = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    if (static_cast<BallotOperand*>(operands[lane])->value) ballot |= 1u << lane;
  }
  for (void* operand : operands) static_cast<BallotOperand*>(operand)->result = ballot;
}

void PerformLoadMatrix(const std::array<void*, kLanes>& operands) {
  const auto row_of = [&](int matrix, int row) {
    return static_cast<const char*>(
        static_cast<LoadMatrixOperand*>(operands[static_cast<size_t>(8 * matrix + row)])->row);
  };
  for (int lane = 0; lane < kLanes; ++lane) {
    LoadMatrixOperand& operand =
        *static_cast<LoadMatrixOperand*>(operands[static_cast<size_t>(lane)]);
    for (int matrix = 0; matrix < operand.num_matrices; ++matrix) {
      uint16_t numbers[2];
      for (int i = 0; i < 2; ++i) {
        const int row = operand.is_transposed ? lane % 4 * 2 + i : lane / 4;
        const int column = operand.is_transposed ? lane / 4 : lane % 4 * 2 + i;
        std::memcpy(&numbers[i], row_of(matrix, row) + 2 * column, sizeof(numbers[i]));
      }
      operand.words[matrix] = numbers[0] | static_cast<uint32_t>(numbers[1]) << 16;
    }
  }
}

// Judges an atomic operation on *p and orders the block behind those that made one there before.
void BeginAtomic(void* p, const void* code) {
  Running().Note(p, 4, AccessKind::kAtomic, code);
  Running().MeetAt(p);
}

// Judges an access of a word by which GPUs wait for each other.
void BeginSystemAccess(const void* p, const void* code) {
  Running().CheckAligned(p, sizeof(uint64_t), "a word of the system", code);
  if (IsMapped(p, sizeof(uint64_t))) return;
  Running().Note(p, sizeof(uint64_t), AccessKind::kAtomic, code);
}

uint64_t nanoseconds = 0;

}  // namespace

int ThreadIndex() { return Running().thread_index(); }
cuda::Dim3 BlockIndex() { return Running().index(); }
cuda::Dim3 BlockCount() { return Running().launch().grid; }
std::byte* SharedMemory() {
  return reinterpret_cast<std::byte*>(DeviceMemory::Get().shared());
}
void SyncThreads(const Place& where) { Running().SyncThreads(where); }
bool SyncThreadsAnd(bool value, const Place& where) {
  return Running().SyncThreadsAnd(value, where);
}
void SyncNamed(int id, int threads, const Place& where) { Running().SyncNamed(id, threads, where); }
void SyncWarp(const Place& where) { Running().SyncWarp(where); }
void ThreadFence() { Running().Fence(); }

uint32_t Shuffle(uint32_t value, int source_lane, const Place& where) {
  ShuffleOperand operand = {value, source_lane, 0};
  Running().CallInWarp(PerformShuffle, &operand, where);
  return operand.result;
}

uint32_t Ballot(bool value, const Place& where) {
  BallotOperand operand = {value, 0};
  Running().CallInWarp(PerformBallot, &operand, where);
  return operand.result;
}

uint32_t AtomicAdd(uint32_t* p, uint32_t value) {
  BeginAtomic(p, __builtin_return_address(0));
  return std::exchange(*p, *p + value);
}
float AtomicAdd(float* p, float value) {
  BeginAtomic(p, __builtin_return_address(0));
  return std::exchange(*p, *p + value);
}
int AtomicMax(int* p, int value) {
  BeginAtomic(p, __builtin_return_address(0));
  return std::exchange(*p, std::max(*p, value));
}
uint32_t AtomicMax(uint32_t* p, uint32_t value) {
  BeginAtomic(p, __builtin_return_address(0));
  return std::exchange(*p, std::max(*p, value));
}
uint32_t AtomicCas(uint32_t* p, uint32_t expected, uint32_t value) {
  BeginAtomic(p, __builtin_return_address(0));
  return std::exchange(*p, *p == expected ? value : *p);
}

uint64_t LoadAcquireSystem(const uint64_t* p) {
  BeginSystemAccess(p, __builtin_return_address(0));
  Running().Acquire(p);
  return std::atomic_ref(*const_cast<uint64_t*>(p)).load();
}
void StoreReleaseSystem(uint64_t* p, uint64_t value) {
  BeginSystemAccess(p, __builtin_return_address(0));
  Running().ReleaseAt(p);
  std::atomic_ref(*p).store(value);
}
void Pause() {
  nanoseconds += Machine().nanoseconds_per_pause;
  Running().Pause();
}
uint64_t Nanoseconds() { return nanoseconds; }

void CopyAsync16(void* shared, const void* global, bool valid) {
  Running().BeginCopy(shared, global, valid, __builtin_return_address(0));
}
void CopyAsyncCommit() { Running().CommitCopies(); }
void CopyAsyncWait(int max_pending) { Running().WaitForCopies(max_pending); }

void LoadMatrix(LoadMatrixOperand& operand, const Place& where) {
  const void* code = __builtin_return_address(0);
  if (Running().thread_index() % kLanes < 8 * operand.num_matrices) {
    Running().CheckAligned(operand.row, 16, "a row of a matrix", code);
    Running().CheckShared(operand.row, 16, "a row of a matrix", code);
    Running().Note(operand.row, 16, AccessKind::kRead, code);
  }
  Running().CallInWarp(PerformLoadMatrix, &operand, where);
}

void Mma(MmaType type, MmaOperand& operand, const Place& where) {
  switch (type) {
    case MmaType::kBf16:
      return Running().CallInWarp(PerformMma<MmaType::kBf16>, &operand, where);
    case MmaType::kF16:
      return Running().CallInWarp(PerformMma<MmaType::kF16>, &operand, where);
    case MmaType::kInt8:
      return Running().CallInWarp(PerformMma<MmaType::kInt8>, &operand, where);
    case MmaType::kFp8:
      return Running().CallInWarp(PerformMma<MmaType::kFp8>, &operand, where);
  }
}

float Fp8ToFloat(uint8_t bits) {
  const float sign = (bits & 0x80) != 0 ? -1.0f : 1.0f;
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::nanf("");
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

uint8_t FloatToFp8(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return sign | 0x7f;
  const float magnitude = std::min(std::fabs(value), 448.0f);
  // A step is an eighth of the number's power of two, and not below that of 2^-6.
  const int exponent = std::max(magnitude > 0.0f ? std::ilogb(magnitude) : -6, -6);
  const int steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 3 - exponent)));
  // 16 steps carry into the exponent, and fewer than 8 are subnormal: the sum is right for both.
  return static_cast<uint8_t>(sign | ((exponent + 6) * 8 + steps));
}

}  // namespace autoglm::simt
