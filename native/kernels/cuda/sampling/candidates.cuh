#ifndef AUTOGLM_KERNELS_CUDA_SAMPLING_CANDIDATES_CUH_
#define AUTOGLM_KERNELS_CUDA_SAMPLING_CANDIDATES_CUH_

#include <bit>
#include <cstdint>

#include "kernels/cuda/sampling/request.h"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {

// Sampling without sorting: what is asked of a row of logits is a threshold, or an id up to which
// something sums to a goal, and either is found by halving its range, three bits a pass. Sums are
// integers, so that they do not depend on the order of threads. Keys are unsigned integers, larger
// for what is likelier; 0 is no candidate.

inline constexpr int kSampleThreads = 512;
inline constexpr int kMostListed = 4096;    // candidates that a block keeps apart from the row
inline constexpr int kNumThresholds = 7;    // of a pass: three bits

constexpr float kMinusInfinity = -__builtin_huge_valf();

// Returns e^x of a number that is at most zero within one unit in the last place, as the vector
// kernels of a CPU do. NaN becomes 0.
SIMT_DEVICE float ExpOfNegative(float x) {
  x = x > -105.0f ? x : -105.0f;  // where the result is zero
  const int n = RoundToInt(x * 1.44269504088896341f);
  const float whole = static_cast<float>(n);
  float r = Fma(-whole, 0.693359375f, x);
  r = Fma(-whole, -2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = Fma(p, r, 1.3981999507e-3f);
  p = Fma(p, r, 8.3334519073e-3f);
  p = Fma(p, r, 4.1665795894e-2f);
  p = Fma(p, r, 1.6666665459e-1f);
  p = Fma(p, r, 5.0000001201e-1f);
  p = Fma(p * r, r, r) + 1.0f;
  // In two steps, of which only the second may round, to a subnormal number.
  const int half = n / 2;
  const auto power = [](int exponent) {
    return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
  };
  return p * power(half) * power(n - half);
}

// Probabilities up to a common factor, in 0..1, as integers: 2^21 of them sum to less than 2^64.
inline constexpr float kUnitWeight = 4398046511104.0f;  // 2^42

SIMT_DEVICE uint64_t IntegerOf(float weight) { return static_cast<uint64_t>(weight * kUnitWeight); }

// Returns bits that are ordered as numbers are; those of a number are never 0.
SIMT_DEVICE uint32_t OrderedBits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);  // zeros are equal
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
SIMT_DEVICE float FromOrderedBits(uint32_t bits) {
  return std::bit_cast<float>((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

SIMT_DEVICE uint64_t ShuffleXor64(uint64_t value, int mask) {
  const uint32_t low = ShuffleXor(static_cast<uint32_t>(value), mask);
  const uint32_t high = ShuffleXor(static_cast<uint32_t>(value >> 32), mask);
  return uint64_t{high} << 32 | low;
}

struct Plus {
  SIMT_DEVICE uint64_t operator()(uint64_t a, uint64_t b) const { return a + b; }
};
struct Maximum {
  SIMT_DEVICE uint64_t operator()(uint64_t a, uint64_t b) const { return a > b ? a : b; }
};

using Sums = uint64_t[kNumThresholds];

struct SampleShared {
  uint64_t slots[kNumThresholds][kSampleThreads];
  uint64_t combined[kNumThresholds];
  uint32_t listed_keys[kMostListed];
  uint32_t listed_ids[kMostListed];
  int num_listed;
  uint32_t top_keys[kMostTop];
  uint32_t top_ids[kMostTop];
  int num_top;
};

// Makes each number that of all threads, combined.
template <typename Combine, int kCount>
SIMT_DEVICE void CombineAll(SampleShared& shared, uint64_t (&values)[kCount]) {
  static_assert(kCount <= kNumThresholds && kCount <= kSampleThreads / kWarpSize);
  const Combine combine;
#pragma unroll
  for (int j = 0; j < kCount; ++j) shared.slots[j][ThreadIndex()] = values[j];
  SyncThreads();
  if (WarpIndex() < kCount) {
    const uint64_t* slots = shared.slots[WarpIndex()];
    uint64_t value = slots[LaneIndex()];
    for (int i = kWarpSize; i < kSampleThreads; i += kWarpSize) {
      value = combine(value, slots[i + LaneIndex()]);
    }
    for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
      value = combine(value, ShuffleXor64(value, mask));
    }
    if (LaneIndex() == 0) shared.combined[WarpIndex()] = value;
  }
  SyncThreads();
#pragma unroll
  for (int j = 0; j < kCount; ++j) values[j] = shared.combined[j];
}

// A row of logits, of which some may be forbidden.
struct LogitRow {
  const float* logits;
  const uint32_t* mask;  // a bit for each allowed id; null: all are

  SIMT_DEVICE bool IsAllowed(int id) const {
    return mask == nullptr || (mask[id / 32] >> (id % 32) & 1u) != 0;
  }
  SIMT_DEVICE float ValueOf(int id, float logit) const {
    return IsAllowed(id) ? logit : kMinusInfinity;
  }

  // Calls body(id, value) for the ids begin .. end - 1, by all threads of the block in turn.
  template <typename Body>
  SIMT_DEVICE void ForEach(int begin, int end, const Body& body) const {
    const auto visit = [&](int id) { body(id, ValueOf(id, logits[id])); };
    // Rows need not begin at multiples of 16 bytes.
    const int misplaced = static_cast<int>(reinterpret_cast<uintptr_t>(logits + begin) / 4 % 4);
    int first = begin + (4 - misplaced) % 4;
    first = first < end ? first : end;
    if (begin + ThreadIndex() < first) visit(begin + ThreadIndex());
    const int last = first + (end - first) / 4 * 4;
#pragma unroll 4
    for (int id = first + 4 * ThreadIndex(); id < last; id += 4 * kSampleThreads) {
      const Vec<float, 4> four = *reinterpret_cast<const Vec<float, 4>*>(logits + id);
#pragma unroll
      for (int i = 0; i < 4; ++i) body(id + i, ValueOf(id + i, four[i]));
    }
    if (last + ThreadIndex() < end) visit(last + ThreadIndex());
  }
};

// The candidates of a row: those of the ids 0 .. limit - 1 whose key is not 0.
template <typename KeyOf>
class Candidates {
 public:
  SIMT_DEVICE Candidates(SampleShared& shared, const LogitRow& row, int limit, const KeyOf& key_of)
      : shared_(shared), row_(row), limit_(limit), key_of_(key_of) {}

  // Sets, for each threshold, the sum of value_of(key) over keys that are not below it.
  template <typename ValueOf>
  SIMT_DEVICE void SumAbove(const Sums& thresholds, const ValueOf& value_of, Sums& sums) const {
    Clear(sums);
    ForEach(0, limit_, [&](int, uint32_t key) {
      const uint64_t value = value_of(key);
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) sums[j] += key >= thresholds[j] ? value : 0;
    });
    CombineAll<Plus>(shared_, sums);
  }

  // Keeps the candidates whose keys are not below `threshold` apart, so that passes are short, and
  // forgets the others. Does nothing if they are too many.
  SIMT_DEVICE void List(uint32_t threshold) {
    if (num_listed_ >= 0) return;
    if (ThreadIndex() == 0) shared_.num_listed = 0;
    SyncThreads();
    ForEach(0, limit_, [&](int id, uint32_t key) {
      if (key < threshold) return;
      const int place = AtomicAdd(&shared_.num_listed, 1);
      if (place >= kMostListed) return;
      shared_.listed_keys[place] = key;
      shared_.listed_ids[place] = static_cast<uint32_t>(id);
    });
    SyncThreads();
    if (shared_.num_listed <= kMostListed) num_listed_ = shared_.num_listed;
  }

  // Returns the largest threshold for which the sum of value_of(key), over keys that are not below
  // it, reaches the goal; the sum over all does.
  template <typename ValueOf>
  SIMT_DEVICE uint32_t FindThreshold(uint64_t goal, const ValueOf& value_of) const {
    uint64_t low = 1;
    for (int shift = 30; shift >= 0; shift -= 3) {
      Sums thresholds;
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) {
        thresholds[j] = low + (static_cast<uint64_t>(j + 1) << shift);
      }
      Sums sums;
      SumAbove(thresholds, value_of, sums);
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) {
        if (sums[j] >= goal) low = thresholds[j];
      }
    }
    return static_cast<uint32_t>(low);
  }

  // Returns the id with which the sum of value_of(key), in the order of ids, reaches the goal.
  template <typename ValueOf>
  SIMT_DEVICE uint32_t FindId(uint64_t goal, const ValueOf& value_of) const {
    int low = 0;
    uint64_t before = 0;
    for (int shift = 18; shift >= 0; shift -= 3) {
      Sums sums;
      Clear(sums);
      const int end = low + (8 << shift);
      ForEach(low, end < limit_ ? end : limit_, [&](int id, uint32_t key) {
        const uint64_t value = value_of(key);
#pragma unroll
        for (int j = 0; j < kNumThresholds; ++j) {
          sums[j] += id < low + ((j + 1) << shift) ? value : 0;
        }
      });
      CombineAll<Plus>(shared_, sums);
      int parts = 0;  // of the range, before the id
      uint64_t sum = 0;
#pragma unroll
      for (int j = 0; j < kNumThresholds; ++j) {
        if (before + sums[j] >= goal) continue;
        parts = j + 1;
        sum = sums[j];
      }
      before += sum;
      low += parts << shift;
    }
    return static_cast<uint32_t>(low);
  }

  // Calls body(id, key) for the candidates among the ids begin .. end - 1.
  template <typename Body>
  SIMT_DEVICE void ForEach(int begin, int end, const Body& body) const {
    if (num_listed_ >= 0) {
      for (int i = ThreadIndex(); i < num_listed_; i += kSampleThreads) {
        const int id = static_cast<int>(shared_.listed_ids[i]);
        if (id >= begin && id < end) body(id, shared_.listed_keys[i]);
      }
      return;
    }
    row_.ForEach(begin, end, [&](int id, float value) {
      const uint32_t key = key_of_(value);
      if (key != 0) body(id, key);
    });
  }

 private:
  static SIMT_DEVICE void Clear(Sums& sums) {
#pragma unroll
    for (int j = 0; j < kNumThresholds; ++j) sums[j] = 0;
  }

  SampleShared& shared_;
  const LogitRow& row_;
  const int limit_;
  const KeyOf& key_of_;
  int num_listed_ = -1;  // -1: the row is walked
};

// Values of candidates.
struct One {
  SIMT_DEVICE uint64_t operator()(uint32_t) const { return 1; }
};
struct Weight {
  SIMT_DEVICE uint64_t operator()(uint32_t key) const {
    return IntegerOf(std::bit_cast<float>(key));
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_SAMPLING_CANDIDATES_CUH_
