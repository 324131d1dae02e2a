#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_TILES_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_TILES_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/attention/lane_dots.h"
#include "kernels/simd/attention/softmax_rows.h"

namespace autoglm::kernels {
namespace {

// Sums of products of lanes, kRows rows by kVectors vectors of columns.
template <typename V, typename Dots, int kRows, int kVectors>
struct LaneTile {
  using Sum = typename Dots::Sum;
  using Lanes = typename Dots::Lanes;

  Sum sums[kRows][kVectors];

  // Adds lanes 0..num_lanes - 1 of each row, x[row], times those of columns, [num_lanes][stride].
  template <Sum (*kAdd)(Sum, Lanes, uint32_t)>
  void Accumulate(const uint32_t* const x[kRows], int64_t num_lanes, const uint32_t* columns,
                  int64_t stride) {
    LaneTile local = *this;
    for (int64_t lane = 0; lane < num_lanes; ++lane, columns += stride) {
      Lanes w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) w[v] = V::LoadPairs(columns + v * V::kWidth);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        uint32_t numbers = 0;
        __builtin_memcpy(&numbers, x[r] + lane, sizeof(numbers));
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          local.sums[r][v] = V::Pin(kAdd(local.sums[r][v], w[v], numbers));
        }
      }
    }
    *this = local;
  }
};

// Sets scores[row][j] of kRows rows to q . k_j for `count` keys as they lie, of whole vectors of lanes:
// squares of keys are turned in registers, and each sum grows as in a LaneTile.
template <typename V, typename Dots, int kRows, typename T, int64_t kKeyBlock>
[[gnu::noinline]] void ScoreRowTile(const T* const* keys, int64_t count, int64_t num_dim_lanes,
                                    const uint32_t (*query_lanes)[kMaxHeadDim / 2],
                                    const LaneQuery* queries, float (*scores)[kKeyBlock]) {
  constexpr int64_t kNumbers = Dots::kDepths * V::kWidth;
  for (int64_t j = 0; j < count; j += V::kWidth) {
    typename Dots::Sum sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = Dots::Zero();
    for (int64_t lane = 0; lane < num_dim_lanes; lane += V::kWidth) {
      typename V::Float square[V::kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) {
        square[i] = V::LanesAsBits(Dots::LoadKey(keys[j + i] + lane * Dots::kDepths, kNumbers));
      }
      V::Transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < V::kWidth; ++i) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          sums[r] = Dots::AddLanesAt(sums[r], V::BitsAsLanes(square[i]), &query_lanes[r][lane + i]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      V::Store(scores[r] + j, Dots::ScoresOf(sums[r], queries[r]));
    }
  }
}

// Adds kVectors vectors of numbers from d on of `count` values as they lie to the sums of kRows rows.
template <typename V, typename Dots, int kRows, int kVectors, typename T, int64_t kLanes>
[[gnu::noinline]] void AddRowTile(const AttentionRow* rows, const T* const* values, int64_t count,
                                  int64_t d, const uint32_t (*probability_lanes)[kLanes]) {
  constexpr int64_t kDepths = Dots::kDepths;
  constexpr int64_t kNumbers = kDepths * V::kWidth;
  constexpr int kSums = kVectors * kDepths;
  typename V::Float sums[kRows][kSums];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kSums; ++v) sums[r][v] = V::Load(rows[r].out + d + v * V::kWidth);
  }
  for (int64_t j = 0; j < count; j += kDepths) {
    typename Dots::Lanes lanes[kSums];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      Dots::LoadValues(values + j, d + v * kNumbers, kNumbers, lanes + v * kDepths);
    }
    if (count - j < kDepths) [[unlikely]] {  // the last value has no partner
#pragma GCC unroll 8
      for (int v = 0; v < kSums; ++v) lanes[v] = V::KeepLowHalves(lanes[v]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const uint32_t probabilities = probability_lanes[r][j / kDepths];
#pragma GCC unroll 8
      for (int v = 0; v < kSums; ++v) {
        sums[r][v] = V::Pin(Dots::AddValues(sums[r][v], lanes[v], probabilities));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kSums; ++v) V::Store(rows[r].out + d + v * V::kWidth, sums[r][v]);
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_TILES_H_
