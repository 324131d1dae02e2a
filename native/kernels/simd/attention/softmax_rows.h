#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_

#include <cstdint>

#include "kernels/simd/exponential.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// One query of one head, with the state of its online softmax.
struct AttentionRow {
  const float* q;             // [head_dim]
  float* out;                 // [head_dim]: weighted sum of values, relative to `max`
  int64_t num_keys;           // it sees keys 0..num_keys - 1
  const float* relative_q;    // [head_dim] or null
  const float* relative_key;  // p of key 0; that of key j is at + j * relative_stride
  float max = -__builtin_inff();
  float sum = 0.0f;  // of e^(score - max)

  // Returns the number of keys of the block of kKeyBlock keys at `key` that the row sees.
  template <int64_t kKeyBlock>
  int64_t VisibleKeys(int64_t key) const {
    const int64_t rest = num_keys - key;
    return rest < 0 ? 0 : rest < kKeyBlock ? rest : kKeyBlock;
  }
};

struct AttentionShape {
  int64_t head_dim;
  float scale;
  int64_t relative_stride;
};

// Returns the number of elements, 0..kWidth, of vector v that lie among the first `count`.
template <typename V>
int64_t ElementsOf(int64_t count, int64_t v) {
  const int64_t rest = count - v * V::kWidth;
  return rest < 0 ? 0 : rest < V::kWidth ? rest : int64_t{V::kWidth};
}

// Turns the scores of the visible keys into probabilities relative to the row's largest score so
// far, those of the others into zero, and brings the row's state to the same maximum.
template <typename V, int64_t kKeyBlock>
void UpdateSoftmax(AttentionRow& row, int64_t visible, const AttentionShape& shape,
                   float scores[kKeyBlock]) {
  using Float = typename V::Float;
  constexpr int kVectors = kKeyBlock / V::kWidth;
  const Float minus_infinity = V::Set(-__builtin_inff());
  Float values[kVectors];
  Float largest = V::Set(row.max);
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Float scaled = V::Multiply(V::Load(scores + v * V::kWidth), V::Set(shape.scale));
    values[v] = V::KeepFirst(scaled, ElementsOf<V>(visible, v), minus_infinity);
    largest = V::Max(values[v], largest);
  }
  const float max = V::Largest(largest);
  if (max > row.max) {
    const Float decay = Exponential<V>(V::Set(row.max - max));
    ForEachVector<V>(shape.head_dim, [&](int64_t i, int64_t n) {
      V::StoreFirst(row.out + i, V::Multiply(V::LoadFirst(row.out + i, n), decay), n);
    });
    row.sum *= V::First(decay);
    row.max = max;
  }
  Float sum = V::Zero();
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Float probability = Exponential<V>(V::Subtract(values[v], V::Set(max)));
    V::Store(scores + v * V::kWidth, probability);
    sum = V::Add(sum, probability);
  }
  row.sum += V::Sum(sum);
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_SOFTMAX_ROWS_H_
