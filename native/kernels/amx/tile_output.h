#ifndef AUTOGLM_KERNELS_AMX_TILE_OUTPUT_H_
#define AUTOGLM_KERNELS_AMX_TILE_OUTPUT_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/amx/sum_block.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/quantized_panel.h"

namespace autoglm::kernels {
namespace {

// One panel of a product.
struct TilePanel {
  const uint32_t* lanes;    // [ceil(row bytes / 4)][kMaxPanelWidth]
  const char* scales;       // [kMaxPanelWidth] of the format's scale type, of integers
  const uint32_t* offsets;  // [kMaxPanelWidth]: what takes the offset of the input away
  int64_t column;           // of the output, at which the panel starts
  int64_t width;            // columns that exist
};

// A tile of sums that is complete: float32, or the bits of int32.
struct CompleteTile {
  const float* sums;  // [kTileRows][kTileColumns]
  int64_t row;        // of the output
  int64_t num_rows;
  int64_t column;  // of the panel
};

inline int64_t ColumnsOf(const TilePanel& panel, const CompleteTile& tile) {
  const int64_t count = panel.width - tile.column;
  return count < 0 ? 0 : count < kTileColumns ? count : kTileColumns;
}

// Writes finish(sums of a row, row) to y for each row of a tile, plus the bias.
template <typename Finish>
void StoreTile(const GemmArgs& args, const TilePanel& panel, const CompleteTile& tile,
               const Finish& finish) {
  const int64_t count = ColumnsOf(panel, tile);
  const int64_t column = panel.column + tile.column;
  const bool has_bias = args.bias != nullptr;
  const __m512 bias =
      has_bias ? Avx512Vector::LoadFirst(args.bias + column, count) : _mm512_setzero_ps();
  for (int64_t row = 0; row < tile.num_rows; ++row) {
    const __m512 product = finish(tile.sums + row * kTileColumns, tile.row + row);
    Avx512Vector::StoreFirst(args.y + (tile.row + row) * args.y_stride + column,
                             has_bias ? _mm512_add_ps(product, bias) : product, count);
  }
}

inline void StoreFloatTile(const GemmArgs& args, const TilePanel& panel,
                           const CompleteTile& tile) {
  StoreTile(args, panel, tile, [](const float* sums, int64_t) { return _mm512_load_ps(sums); });
}

inline void StoreIntegerTile(const GemmArgs& args, const TilePanel& panel,
                             const CompleteTile& tile) {
  const int vector = static_cast<int>(tile.column / kTileColumns);
  const __m512i offsets = _mm512_loadu_si512(panel.offsets + tile.column);
  const __m512 scales = LoadScales<Avx512Vector>(args.format.scale_dtype, panel.scales, vector);
  StoreTile(args, panel, tile, [&](const float* sums, int64_t row) {
    const __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums), offsets);
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scales);
    return _mm512_mul_ps(scaled, _mm512_set1_ps(args.x_scales[row]));
  });
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILE_OUTPUT_H_
