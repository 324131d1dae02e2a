#ifndef AUTOGLM_KERNELS_SIMD_KEY_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_KEY_ROWS_H_

#include <cstdint>

#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Place of the keys, or values, of one KV head in memory: row `position` is [head_dim].
template <typename T>
struct PagedRows {
  static constexpr bool kHasScales = false;

  const T* base;
  const int32_t* block_table;
  int64_t block_size;
  int64_t block_stride;
  int64_t token_stride;

  const T* At(int64_t position) const {
    return base + block_table[position / block_size] * block_stride +
           position % block_size * token_stride;
  }
};

// Paged rows of int8, each with its scale.
struct ScaledRows : PagedRows<uint8_t> {
  static constexpr bool kHasScales = true;

  const float* scales;
  int64_t scale_stride;

  float ScaleAt(int64_t position) const {
    return scales[block_table[position / block_size] * scale_stride + position % block_size];
  }
};

struct DenseRows {
  static constexpr bool kHasScales = false;

  const float* base;
  int64_t stride;

  const float* At(int64_t position) const { return base + position * stride; }
};

// Sets target[j][d] to element d of row first + j, as float32 without the row's scale.
template <typename V, typename Rows>
void LoadRows(const Rows& rows, int64_t first, int64_t num_rows, int64_t head_dim, float* target,
              int64_t stride) {
  for (int64_t j = 0; j < num_rows; ++j) {
    const auto* row = rows.At(first + j);
    ForEachVector<V>(head_dim, [&](int64_t d, int64_t n) {
      V::StoreFirst(target + j * stride + d, V::LoadFirst(row + d, n), n);
    });
  }
}

// Sets target[j] to the scale of row first + j, and to zero for rows num_rows..stride - 1.
inline void LoadScales(const ScaledRows& rows, int64_t first, int64_t num_rows, float* target,
                       int64_t stride) {
  for (int64_t j = 0; j < num_rows; ++j) {
    const float scale = rows.ScaleAt(first + j);
    target[j] = scale == scale ? scale : __builtin_nanf("");  // one NaN for all
  }
  for (int64_t j = num_rows; j < stride; ++j) target[j] = 0.0f;
}

// Sets target[d][j] to element d of row first + j, as float32 without the row's scale, and to zero
// for rows num_rows..stride - 1. The stride is a whole number of vectors.
template <typename V, typename Rows>
void LoadTransposed(const Rows& rows, int64_t first, int64_t num_rows, int64_t head_dim,
                    float* target, int64_t stride) {
  for (int64_t j = 0; j < stride; j += V::kWidth) {
    ForEachVector<V>(head_dim, [&](int64_t d, int64_t n) {
      typename V::Float square[V::kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) {
        square[i] = j + i < num_rows ? V::LoadFirst(rows.At(first + j + i) + d, n) : V::Zero();
      }
      V::Transpose(square);
      for (int64_t i = 0; i < n; ++i) V::Store(target + (d + i) * stride + j, square[i]);
    });
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_KEY_ROWS_H_
