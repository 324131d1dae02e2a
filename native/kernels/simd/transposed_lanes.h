#ifndef AUTOGLM_KERNELS_SIMD_TRANSPOSED_LANES_H_
#define AUTOGLM_KERNELS_SIMD_TRANSPOSED_LANES_H_

#include <cstdint>

#include "kernels/simd/panel_block.h"

namespace autoglm::kernels {
namespace {

// Lanes of a row that are transposed before the next rows are read: some cache lines in sequence,
// which the processor fetches ahead, while what they become still fits in the first-level cache.
constexpr int64_t kLaneBlock = 64;

// Rows of whole lanes.
template <typename V>
struct LaneRows {
  const uint32_t* rows;  // [rows, stride]
  int64_t stride;
  int64_t num_lanes;

  int64_t NumLanes() const { return num_lanes; }
  int64_t NumWholeLanes() const { return num_lanes; }
  typename V::Float Load(int64_t row, int64_t lane) const {
    return V::LanesAsBits(V::LoadPairs(rows + row * stride + lane));
  }
  uint32_t One(int64_t row, int64_t lane) const { return rows[row * stride + lane]; }
};

// Writes panel[lane][n] for the lanes of 32 bits that `source` gives of row n: a square of
// registers at a time, so that neither side is touched a lane at a time. Columns beyond `num_rows`
// become zeros. `source` has
//   int64_t NumLanes()          lanes of a row, the last of which may lack depths
//   int64_t NumWholeLanes()     lanes that lack none
//   V::Float Load(row, lane)    kWidth whole lanes from `lane` on, as bits
//   uint32_t One(row, lane)     any lane, what it lacks as zeros
template <typename V, typename Source>
void TransposeLanes(const Source& source, int64_t num_rows, uint32_t* panel) {
  constexpr int64_t kWidth = V::kWidth;
  const int64_t whole = source.NumWholeLanes() / kWidth * kWidth;
  for (int64_t block = 0; block < whole; block += kLaneBlock) {
    const int64_t end = whole - block < kLaneBlock ? whole : block + kLaneBlock;
    for (int64_t first = 0; first < kPanelWidth<V>; first += kWidth) {
      for (int64_t lane = block; lane < end; lane += kWidth) {
        typename V::Float rows[kWidth];
#pragma GCC unroll 16
        for (int64_t i = 0; i < kWidth; ++i) {
          rows[i] = first + i < num_rows ? source.Load(first + i, lane) : V::Zero();
        }
        V::Transpose(rows);
        float* const target = reinterpret_cast<float*>(panel + lane * kPanelWidth<V> + first);
#pragma GCC unroll 16
        for (int64_t i = 0; i < kWidth; ++i) V::Store(target + i * kPanelWidth<V>, rows[i]);
      }
    }
  }
  for (int64_t lane = whole; lane < source.NumLanes(); ++lane) {
    for (int64_t n = 0; n < kPanelWidth<V>; ++n) {
      panel[lane * kPanelWidth<V> + n] = n < num_rows ? source.One(n, lane) : 0u;
    }
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_TRANSPOSED_LANES_H_
