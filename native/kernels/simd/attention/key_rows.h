#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_KEY_ROWS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_KEY_ROWS_H_

#include <cstdint>

#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Place of the keys, or values, of one KV head in memory: row `position` is [head_dim].
template <typename T>
struct PagedRows {
  using Number = T;
  static constexpr bool kHasScales = false;

  const T* base;
  const int32_t* block_table;
  int64_t block_size;
  int64_t block_stride;
  int64_t token_stride;

  // Calls visit(i, block, offset, n) for rows first + i .. first + i + n - 1, which lie one after another
  // in a block. One division finds all: a division costs more than what is done with a row.
  template <typename Visit>
  void ForEachRun(int64_t first, int64_t count, const Visit& visit) const {
    int64_t block = first / block_size;
    int64_t offset = first % block_size;
    for (int64_t i = 0; i < count; offset = 0, ++block) {
      const int64_t run = count - i < block_size - offset ? count - i : block_size - offset;
      visit(i, block_table[block], offset, run);
      i += run;
    }
  }

  // Sets rows[i] to row first + i, and those from `count` on to the last of these.
  void Find(int64_t first, int64_t count, int64_t size, const T** rows) const {
    ForEachRun(first, count, [&](int64_t i, int64_t block, int64_t offset, int64_t run) {
      const T* row = base + block * block_stride + offset * token_stride;
      for (int64_t j = 0; j < run; ++j) rows[i + j] = row + j * token_stride;
    });
    for (int64_t i = count; i < size; ++i) rows[i] = rows[count - 1];
  }
};

// Paged rows of int8, each with its scale.
struct ScaledRows : PagedRows<uint8_t> {
  static constexpr bool kHasScales = true;

  const float* scales;
  int64_t scale_stride;

  // Sets target[i] to the scale of row first + i, and to zero for rows num_rows..size - 1.
  void LoadScales(int64_t first, int64_t num_rows, float* target, int64_t size) const {
    ForEachRun(first, num_rows, [&](int64_t i, int64_t block, int64_t offset, int64_t run) {
      for (int64_t j = 0; j < run; ++j) {
        const float scale = scales[block * scale_stride + offset + j];
        target[i + j] = scale == scale ? scale : __builtin_nanf("");  // one NaN for all
      }
    });
    for (int64_t i = num_rows; i < size; ++i) target[i] = 0.0f;
  }
};

struct DenseRows {
  using Number = float;
  static constexpr bool kHasScales = false;

  const float* base;
  int64_t stride;

  void Find(int64_t first, int64_t count, int64_t size, const float** rows) const {
    for (int64_t i = 0; i < size; ++i) {
      rows[i] = base + (first + (i < count ? i : count - 1)) * stride;
    }
  }
};

// Brings the lines of rows to the second-level cache.
template <typename T>
void FetchRows(const T* const* rows, int64_t num_rows, int64_t head_dim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t j = 0; j < num_rows; ++j) {
    for (int64_t d = 0; d < head_dim; d += kLine) __builtin_prefetch(rows[j] + d, 0, 2);
  }
}

// Sets target[j][d] to element d of row j, as float32.
template <typename V, typename T>
void LoadRows(const T* const* rows, int64_t num_rows, int64_t head_dim, float* target,
              int64_t stride) {
  for (int64_t j = 0; j < num_rows; ++j) {
    ForEachVector<V>(head_dim, [&](int64_t d, int64_t n) {
      V::StoreFirst(target + j * stride + d, V::LoadFirst(rows[j] + d, n), n);
    });
  }
}

// Sets target[i][j] to lane i of row j, for as many lanes as a row has and j < num_rows, up to a whole
// vector of rows. load(row, i) gives kWidth lanes of a row from lane i on.
template <typename V, typename T, typename Load>
void LoadTransposed(const T* const* rows, int64_t num_rows, int64_t num_lanes, float* target,
                    int64_t stride, const Load& load) {
  for (int64_t j = 0; j < num_rows; j += V::kWidth) {
    for (int64_t lane = 0; lane < num_lanes; lane += V::kWidth) {
      typename V::Float square[V::kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) square[i] = load(rows[j + i], lane);
      V::Transpose(square);
      const int64_t rest = num_lanes - lane;
      if (rest >= V::kWidth) {
#pragma GCC unroll 16
        for (int i = 0; i < V::kWidth; ++i) V::Store(target + (lane + i) * stride + j, square[i]);
        continue;
      }
      for (int64_t i = 0; i < rest; ++i) V::Store(target + (lane + i) * stride + j, square[i]);
    }
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_KEY_ROWS_H_
