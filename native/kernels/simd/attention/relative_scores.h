#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_RELATIVE_SCORES_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_RELATIVE_SCORES_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/softmax_rows.h"

namespace autoglm::kernels {
namespace {

// No term of relative positions.
struct NoRelativeScores {
  void Load(const AttentionRow*, int64_t, int64_t, int64_t, const AttentionShape&) {}
  void AddTo(const AttentionRow&, int64_t, int64_t, float*) const {}
};

// The term r_i . p(i - j) of consecutive queries i and a block of keys j. Rows of p that the queries
// share are transposed once for all; a query reads them from its own place on.
template <typename V, int64_t kKeyBlock, int64_t kMaxRows, int64_t kMaxDim>
class RelativeScores {
 public:
  // Loads p for the distances of `num_rows` queries to `count` keys from `key` on.
  void Load(const AttentionRow* rows, int64_t num_rows, int64_t key, int64_t count,
            const AttentionShape& shape) {
    last_row_ = num_rows - 1;
    stride_ = (last_row_ + kKeyBlock + V::kWidth - 1) / V::kWidth * V::kWidth;
    // The last row is the first's that a key has the smallest distance to.
    const float* first = rows[last_row_].relative_key + key * shape.relative_stride;
    const float* p[kMaxRows + kKeyBlock];
    for (int64_t i = 0; i < stride_; ++i) {
      const int64_t last = last_row_ + count - 1;
      p[i] = first + (i < last ? i : last) * shape.relative_stride;
    }
    const auto load = [&](const float* row, int64_t d) {
      return V::LoadFirst(row + d, ElementsOf<V>(shape.head_dim - d, 0));
    };
    LoadTransposed<V>(p, stride_, shape.head_dim, p_, stride_, load);
  }

  // Adds the term of row `row` to its scores.
  void AddTo(const AttentionRow& query, int64_t row, int64_t head_dim,
             float scores[kKeyBlock]) const {
    constexpr int kVectors = kKeyBlock / V::kWidth;
    typename V::Float sums[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[v] = V::Load(scores + v * V::kWidth);
    const float* p = p_ + last_row_ - row;
    for (int64_t d = 0; d < head_dim; ++d, p += stride_) {
      const typename V::Float r = V::Set(query.relative_q[d]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[v] = V::Pin(V::MultiplyAdd(r, V::Load(p + v * V::kWidth), sums[v]));
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) V::Store(scores + v * V::kWidth, sums[v]);
  }

 private:
  static_assert(kMaxRows % V::kWidth == 0 && kKeyBlock % V::kWidth == 0);

  int64_t last_row_ = 0;
  int64_t stride_ = 0;
  alignas(64) float p_[kMaxDim * (kMaxRows + kKeyBlock)];  // [head_dim][stride_]
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_RELATIVE_SCORES_H_
