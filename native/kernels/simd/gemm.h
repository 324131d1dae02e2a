#ifndef AUTOGLM_KERNELS_SIMD_GEMM_H_
#define AUTOGLM_KERNELS_SIMD_GEMM_H_

#include "kernels/kernels.h"
#include "kernels/simd/input_tiles.h"
#include "kernels/simd/next_weights.h"
#include "kernels/simd/pack_panel.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/panel_sums.h"
#include "kernels/simd/quantized_gemm.h"
#include "kernels/simd/quantized_panel.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// A panel is [depth][kPanelWidth] for float32 and float16. For bfloat16 it is [ceil(depth /
// 2)][kPanelWidth] pairs, with an odd last depth paired with zero.
template <typename V>
size_t PanelBytes(const WeightFormat& format, int64_t depth) {
  if (IsQuantized(format)) return QuantizedPanelBytes<V>(format, depth);
  const int64_t width = kPanelWidth<V>;
  const int64_t lanes = format.type == WeightType::kBfloat16 ? (depth + 1) / 2 : depth;
  const int64_t lane_bytes = format.type == WeightType::kFloat16 ? 2 : 4;
  const size_t bytes = static_cast<size_t>(lanes * width * lane_bytes);
  return (bytes + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

template <typename V>
PairWeights<V> PairsOf(const PanelBlock& block) {
  const uint32_t* pairs = reinterpret_cast<const uint32_t*>(block.panel);
  return {pairs + block.depth_begin / 2 * kPanelWidth<V>, kPanelWidth<V>, block.panel_bytes / 4};
}

template <typename V, int kRows, int kVectors>
[[gnu::always_inline]] inline void AccumulateBlock(WeightType type, const PanelBlock& block,
                                                   const float* const x[kRows],
                                                   Tile<V, kRows, kVectors>& tile) {
  constexpr int64_t kWidth = kPanelWidth<V>;
  const int64_t first = block.depth_begin * kWidth;
  switch (type) {
    case WeightType::kFloat32: {
      const float* weights = reinterpret_cast<const float*>(block.panel) + first;
      return tile.Accumulate(x, block.Depth(),
                             Float32Weights<V>{weights, kWidth, block.panel_bytes / 4});
    }
    case WeightType::kFloat16: {
      const uint16_t* weights = reinterpret_cast<const uint16_t*>(block.panel) + first;
      return tile.Accumulate(x, block.Depth(),
                             Float16Weights<V>{weights, kWidth, block.panel_bytes / 2});
    }
    case WeightType::kBfloat16:
      return tile.Accumulate(x, block.Depth(), PairsOf<V>(block));
    case WeightType::kInt8:
    case WeightType::kInt4:
    case WeightType::kFp8:
      return;  // quantized_gemm.h multiplies integers
  }
}

// Multiplies the rows x of a tile, which start at the block's first depth, with the first panels of kVectors
// vectors.
template <typename V, int kRows, int kVectors>
[[gnu::noinline]] void MultiplyTile(const GemmArgs& args, const PanelBlock& block, int64_t row,
                                    const float* const x[kRows]) {
  Tile<V, kRows, kVectors> tile;
  LoadSums(args, block, row, tile);
  AccumulateBlock(args.format.type, block, x, tile);
  StoreSums(args, block, row, tile);
}

// Multiplies the rows of a tile with all panels.
template <typename V, int kRows>
void MultiplyRows(const GemmArgs& args, const PanelBlock& block, int64_t row,
                  const float* const x[kRows]) {
  ForEachPanelTile<V, kRows>(block, [&](auto panels, const PanelBlock& part, int64_t) {
    MultiplyTile<V, kRows, panels.kCount * V::kTileVectors>(args, part, row, x);
  });
}

template <typename V>
void MultiplyFloat32(const GemmArgs& args, const PanelBlock& block) {
  ForEachInputTile<float, V::kTileRows>(args, block, [&](auto rows, int64_t row, const auto& x) {
    MultiplyRows<V, rows.kCount>(args, block, row, x);
  });
}

template <typename V>
void MultiplyBfloat16(const GemmArgs& args, const PanelBlock& block) {
  ForEachWidenedTile<V, V::kTileRows>(args, block, [&](auto rows, int64_t row, const auto& x) {
    MultiplyRows<V, rows.kCount>(args, block, row, x);
  });
}

// Multiplies bfloat16 rows with bfloat16 weights, without widening.
template <typename V>
void MultiplyPairs(const GemmArgs& args, const PanelBlock& block) {
  ForEachInputTile<uint16_t, V::kTileRows>(args, block, [&](auto rows, int64_t row, const auto& x) {
    ForEachPanelTile<V, rows.kCount>(block, [&](auto panels, const PanelBlock& part, int64_t) {
      Tile<V, rows.kCount, panels.kCount * V::kTileVectors> tile;
      LoadSums(args, part, row, tile);
      const PairWeights<V> pairs = PairsOf<V>(part);
      tile.AccumulatePairs(x, part.Depth(), pairs,
                           NextWeights::Of<V, rows.kCount>(args, part, row, pairs.data,
                                                           part.Depth() * kPanelWidth<V> * 2));
      StoreSums(args, part, row, tile);
    });
  });
}

template <typename V>
void MultiplyPlain(const GemmArgs& args, const PanelBlock& panels) {
  if constexpr (V::kHasBfloat16Dot) {
    if (!HasFloatRows(args) && args.format.type == WeightType::kBfloat16) {
      return ForEachDepthBlock(panels, 1, kPairDepthBlock, [&](const PanelBlock& block) {
        MultiplyPairs<V>(args, block);
      });
    }
  }
  ForEachDepthBlock(panels, 1, kDepthBlock, [&](const PanelBlock& block) {
    if (HasFloatRows(args)) return MultiplyFloat32<V>(args, block);
    MultiplyBfloat16<V>(args, block);
  });
}

template <typename V>
void Multiply(const GemmArgs& args) {
  const auto panel_bytes = static_cast<int64_t>(PanelBytes<V>(args.format, args.depth));
  const char* panel = static_cast<const char*>(args.panels);
  const int64_t num_together = PanelsTogether<V>(args);
  const int64_t width = num_together * kPanelWidth<V>;
  for (int64_t column = 0; column < args.num_columns; column += width) {
    const int64_t rest = args.num_columns - column;
    const PanelBlock panels = {.panel = panel,
                               .panel_bytes = panel_bytes,
                               .column = column,
                               .width = rest < width ? rest : width,
                               .depth_begin = 0,
                               .depth_end = args.depth,
                               .has_next = rest > width};
    if (IsQuantized(args.format)) {
      MultiplyQuantized<V>(args, panels);
    } else {
      MultiplyPlain<V>(args, panels);
    }
    panel += num_together * panel_bytes;
  }
}

// Without dots of bfloat16, rows are rounded as they will be multiplied: they would be widened again for
// each group of panels.
template <typename V>
InputLayout InputLayoutOf(const WeightFormat& format, Dtype x_dtype) {
  if (MultipliesInt16<V>(format, x_dtype)) return InputLayout::kInt16Rows;
  const bool is_float = V::kHasBfloat16Dot || format.quantizes_input || x_dtype == Dtype::kFloat32;
  return is_float ? InputLayout::kRows : InputLayout::kFloatRows;
}

// Panels stay in a core's second-level cache while tasks of other rows pass by. Where there are no
// others, a task is longer, because its last block asks for none after it.
template <typename V>
GemmTask LargestTask(const WeightFormat& format, Dtype x_dtype, int64_t depth, int64_t num_rows) {
  constexpr int64_t kTaskRows = 64;
  const size_t kTaskBytes = size_t{num_rows > kTaskRows ? 256u : 1024u} << 10;
  const size_t group_bytes = kPanelGroup<V> * PanelBytes<V>(format, depth);
  const bool fits = group_bytes > 0 && group_bytes < kTaskBytes;
  const int64_t num_groups = fits ? static_cast<int64_t>(kTaskBytes / group_bytes) : int64_t{1};
  return {.num_rows = kTaskRows,
          .num_panels = kPanelGroup<V> * num_groups,
          .x_layout = InputLayoutOf<V>(format, x_dtype)};
}

template <typename V>
GemmKernels Gemm(const char* isa) {
  return {.isa = isa,
          .panel_width = kPanelWidth<V>,
          .panel_bytes = PanelBytes<V>,
          .pack_panel = PackPanel<V>,
          .multiply = Multiply<V>,
          .largest_task = LargestTask<V>,
          .scratch_bytes = 0,
          .arrange_row = nullptr};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_GEMM_H_
