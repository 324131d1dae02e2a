#ifndef AUTOGLM_KERNELS_AMX_ATTENTION_ROWS_H_
#define AUTOGLM_KERNELS_AMX_ATTENTION_ROWS_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/amx/tiles.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/lane_dots.h"

namespace autoglm::kernels {
namespace {

// Elements of a row that one step of a product takes: 32 bfloat16.
inline constexpr int64_t kStepDims = 32;

// Bit i is set if element i is infinity or NaN.
inline __mmask32 NonFinite(__m512i bfloat16) {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  return _mm512_cmpeq_epi16_mask(_mm512_and_si512(bfloat16, exponent), exponent);
}

// Number of elements of the step at `dim` that a row of `head_dim` has.
inline int64_t ElementsOfStep(int64_t head_dim, int64_t dim) {
  const int64_t rest = head_dim - dim;
  return rest < kStepDims ? rest : kStepDims;
}

// Writes 16 rows of keys as tiles [16 keys, 32 dims], one for each step of dimensions; rows from
// num_rows on are zeros.
template <typename V, typename T>
void PackKeyTiles(const T* const* rows, int64_t num_rows, int64_t head_dim, TileBytes* tiles) {
  for (int64_t j = 0; j < kTileRows; ++j) {
    const T* row = j < num_rows ? rows[j] : nullptr;
    for (int64_t dim = 0; dim < head_dim; dim += kStepDims) {
      const __m512i halves = row == nullptr
                                 ? _mm512_setzero_si512()
                                 : LoadBfloat16<V>(row + dim, ElementsOfStep(head_dim, dim));
      _mm512_store_si512(tiles[dim / kStepDims].row[j], halves);
    }
  }
}

// Turns 16 vectors of 16 lanes into tile rows: lane i of vector k becomes lane k of row i.
template <typename V>
void StoreTransposed(typename V::Float vectors[V::kWidth], TileBytes& tile) {
  V::Transpose(vectors);
#pragma GCC unroll 16
  for (int i = 0; i < V::kWidth; ++i) {
    _mm512_store_si512(tile.row[i], V::BitsAsLanes(vectors[i]));
  }
}

// Writes rows of queries as tiles [16 pairs of dims, 16 rows], one for each step of dimensions; rows
// from num_rows on are zeros. row_at(i) is the place of row i in float32.
template <typename V, typename RowAt>
void PackQueryTiles(const RowAt& row_at, int64_t num_rows, int64_t head_dim, TileBytes* tiles) {
  for (int64_t dim = 0; dim < head_dim; dim += kStepDims) {
    const int64_t count = ElementsOfStep(head_dim, dim);
    typename V::Float pairs[V::kWidth];
    for (int64_t i = 0; i < V::kWidth; ++i) {
      pairs[i] = i < num_rows ? V::LanesAsBits(LoadBfloat16<V>(row_at(i) + dim, count)) : V::Zero();
    }
    StoreTransposed<V>(pairs, tiles[dim / kStepDims]);
  }
}

// Writes 32 rows of values transposed: tiles [16 dims, 32 keys] at tiles[dim / 16 * stride]. Rows from
// num_rows on are zeros, and so are rows that are not finite, which a product with
// the zero of a query that must not see them would spread; bit j tells that row j is one.
template <typename V, typename T>
uint32_t PackValueTiles(const T* const* rows, int64_t num_rows, int64_t head_dim, TileBytes* tiles,
                        int64_t stride) {
  uint32_t lost = 0;
  for (int64_t dim = 0; dim < head_dim; dim += kStepDims) {
    const int64_t count = ElementsOfStep(head_dim, dim);
    const auto load = [&](int64_t j) {
      if (j >= num_rows) return _mm512_setzero_si512();
      const __m512i halves = LoadBfloat16<V>(rows[j] + dim, count);
      if (NonFinite(halves) == 0) return halves;
      lost |= 1u << static_cast<uint32_t>(j);
      return _mm512_setzero_si512();
    };
    // Within each quarter of a register, its first four dims are paired in `low` and its last four
    // in `high`.
    typename V::Float low[V::kWidth];
    typename V::Float high[V::kWidth];
    for (int64_t k = 0; k < V::kWidth; ++k) {
      const __m512i even = load(2 * k);
      const __m512i odd = load(2 * k + 1);
      low[k] = V::LanesAsBits(_mm512_unpacklo_epi16(even, odd));
      high[k] = V::LanesAsBits(_mm512_unpackhi_epi16(even, odd));
    }
    V::Transpose(low);
    V::Transpose(high);
    for (int64_t i = 0; i < V::kWidth; ++i) {
      const int64_t place = dim + i / 4 * 8 + i % 4;
      _mm512_store_si512(tiles[place / kTileRows * stride].row[place % kTileRows],
                         V::BitsAsLanes(low[i]));
      _mm512_store_si512(tiles[place / kTileRows * stride].row[place % kTileRows + 4],
                         V::BitsAsLanes(high[i]));
    }
  }
  return lost;
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_ATTENTION_ROWS_H_
