#ifndef AUTOGLM_KERNELS_SIMD_INPUT_TILES_H_
#define AUTOGLM_KERNELS_SIMD_INPUT_TILES_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/sweep.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// Calls visit(rows, first row, x) for tiles of at most kMaxRows rows of an input of type T. x holds
// the addresses of the rows' numbers [rows.kCount] from the block's first depth on.
template <typename T, int kMaxRows, typename Visit>
void ForEachInputTile(const GemmArgs& args, const PanelBlock& block, const Visit& visit) {
  const T* begin = static_cast<const T*>(args.x) + block.depth_begin;
  ForEachTile<kMaxRows>(0, args.num_rows, [&](auto rows, int64_t row) {
    const T* x[rows.kCount];
    for (int r = 0; r < rows.kCount; ++r) x[r] = begin + (row + r) * args.x_stride;
    visit(rows, row, x);
  });
}

// Does the same for an input of bfloat16, of which each tile is widened first. Widening is exact, so
// the sums are those of float32 rows.
template <typename V, int kMaxRows, typename Visit>
void ForEachWidenedTile(const GemmArgs& args, const PanelBlock& block, const Visit& visit) {
  const int64_t depth = block.Depth();
  float wide[kMaxRows][kDepthBlock];
  ForEachInputTile<uint16_t, kMaxRows>(
      args, block, [&](auto rows, int64_t row, const uint16_t* const* narrow) {
        const float* x[rows.kCount];
        for (int r = 0; r < rows.kCount; ++r) {
          ForEachVector<V>(depth, [&](int64_t d, int64_t count) {
            V::StoreFirst(wide[r] + d, V::LoadFirst(narrow[r] + d, count), count);
          });
          x[r] = wide[r];
        }
        visit(rows, row, x);
      });
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_INPUT_TILES_H_
