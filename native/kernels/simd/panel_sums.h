#ifndef AUTOGLM_KERNELS_SIMD_PANEL_SUMS_H_
#define AUTOGLM_KERNELS_SIMD_PANEL_SUMS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// Reads the sums of the depths before the block from y, or starts at zero.
template <typename V, int kRows, int kVectors>
void LoadSums(const GemmArgs& args, const PanelBlock& block, int64_t row,
              Tile<V, kRows, kVectors>& tile) {
  if (block.depth_begin == 0) return tile.Clear();
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const float* y = args.y + row * args.y_stride + block.column + v * V::kWidth;
    const int64_t count = ColumnsOf<V>(block, v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) tile.sums[r][v] = V::LoadFirst(y, count);
  }
}

// Writes the sums to y, with the bias after the last block of depth.
template <typename V, int kRows, int kVectors>
void StoreSums(const GemmArgs& args, const PanelBlock& block, int64_t row,
               const Tile<V, kRows, kVectors>& tile) {
  const bool has_bias = args.bias != nullptr && block.depth_end == args.depth;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const int64_t column = block.column + v * V::kWidth;
    const int64_t count = ColumnsOf<V>(block, v);
    const typename V::Float bias = has_bias ? V::LoadFirst(args.bias + column, count) : V::Zero();
    float* y = args.y + row * args.y_stride + column;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) {
      const typename V::Float sum = tile.sums[r][v];
      V::StoreFirst(y, has_bias ? V::Add(sum, bias) : sum, count);
    }
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_PANEL_SUMS_H_
