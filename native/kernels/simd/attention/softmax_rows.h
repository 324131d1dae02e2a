#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_

#include <cstdint>

#include "kernels/simd/exponential.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Lanes of the widest vector.
constexpr int kMaxLanes = 16;

// What an online softmax knows of a row so far.
struct SoftmaxState {
  alignas(64) float sums[kMaxLanes];  // of 2^(scaled score - scaled max), a sum for each lane
  float max;                          // what scores are relative to
};

// One query of one head.
struct AttentionRow {
  const float* q;             // [head_dim]
  float* out;                 // [head_dim]: weighted sum of values, relative to the softmax's max
  int64_t num_keys;           // it sees keys 0..num_keys - 1
  const float* relative_q;    // [head_dim] or null
  const float* relative_key;  // p of key 0; that of key j is at + j * relative_stride
  SoftmaxState* softmax;

  // Returns the number of keys of the block of kKeyBlock keys at `key` that the row sees.
  template <int64_t kKeyBlock>
  int64_t VisibleKeys(int64_t key) const {
    const int64_t rest = num_keys - key;
    return rest < 0 ? 0 : rest < kKeyBlock ? rest : kKeyBlock;
  }
};

struct AttentionShape {
  int64_t head_dim;
  float scale;  // positive
  int64_t relative_stride;
};

// Returns the number of elements, 0..kWidth, of vector v that lie among the first `count`.
template <typename V>
int64_t ElementsOf(int64_t count, int64_t v) {
  const int64_t rest = count - v * V::kWidth;
  return rest < 0 ? 0 : rest < V::kWidth ? rest : int64_t{V::kWidth};
}

template <typename V>
void BeginRow(const AttentionRow& row, int64_t head_dim) {
  static_assert(V::kWidth <= kMaxLanes);
  V::Store(row.softmax->sums, V::Zero());
  row.softmax->max = -__builtin_inff();
  ForEachVector<V>(head_dim,
                   [&](int64_t i, int64_t n) { V::StoreFirst(row.out + i, V::Zero(), n); });
}

// Divides the weighted sum of values by the sum of weights.
template <typename V>
void EndRow(const AttentionRow& row, int64_t head_dim) {
  const typename V::Float sum = V::Set(V::Sum(V::Load(row.softmax->sums)));
  ForEachVector<V>(head_dim, [&](int64_t i, int64_t n) {
    V::StoreFirst(row.out + i, V::Divide(V::LoadFirst(row.out + i, n), sum), n);
  });
}

// Probabilities may reach this power of two before a row's maximum follows: bringing a row's sums to
// another maximum costs more than what is done with a block, and whether it comes to that is hard for
// a processor to foresee.
constexpr float kLargestPower = 8.0f;

// Makes the largest of the scores the row's maximum, and its sums relative to that.
template <typename V>
[[gnu::noinline]] void RaiseMaximum(const AttentionRow& row, float largest, int64_t head_dim,
                                    float log2_scale) {
  SoftmaxState& softmax = *row.softmax;
  const typename V::Float decay = PowerOfTwo<V, kExactPower>(
      V::Set(softmax.max * log2_scale - largest * log2_scale));
  V::Store(softmax.sums, V::Multiply(V::Load(softmax.sums), decay));
  ForEachVector<V>(head_dim, [&](int64_t i, int64_t n) {
    V::StoreFirst(row.out + i, V::Multiply(V::LoadFirst(row.out + i, n), decay), n);
  });
  softmax.max = largest;
}

// Returns the scores of the visible keys as probabilities, relative to the row's maximum, and zeros for
// the others, and adds them to the row's sums.
template <typename V, int64_t kKeyBlock, int kPowerDegree>
[[gnu::always_inline]] inline void WeighScores(const AttentionRow& row, int64_t visible,
                                               const AttentionShape& shape, const float* scores,
                                               typename V::Float* probabilities) {
  using Float = typename V::Float;
  constexpr int kVectors = kKeyBlock / V::kWidth;
  constexpr float kLog2OfE = 1.44269504f;
  SoftmaxState& softmax = *row.softmax;
  const float log2_scale = shape.scale * kLog2OfE;
  const bool is_whole = visible == kKeyBlock;
  Float values[kVectors];
  Float largest = V::Set(softmax.max);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    values[v] = V::Load(scores + v * V::kWidth);
    if (!is_whole) {
      values[v] = V::KeepFirst(values[v], ElementsOf<V>(visible, v), V::Set(-__builtin_inff()));
    }
    largest = V::Max(values[v], largest);
  }
  if (V::GreaterBits(largest, V::Set(softmax.max + kLargestPower / log2_scale)) != 0) {
    RaiseMaximum<V>(row, V::Largest(largest), shape.head_dim, log2_scale);
  }
  const Float scale = V::Set(log2_scale);
  const Float shift = V::Set(-(softmax.max * log2_scale));
  Float sum = V::Load(softmax.sums);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    Float probability = PowerOfTwo<V, kPowerDegree>(V::MultiplyAdd(scale, values[v], shift));
    if (!is_whole) {
      probability = V::KeepFirst(probability, ElementsOf<V>(visible, v), V::Zero());
    }
    sum = V::Add(sum, probability);
    probabilities[v] = probability;
  }
  V::Store(softmax.sums, sum);
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_
