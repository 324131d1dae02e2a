#ifndef AUTOGLM_KERNELS_SIMD_GEMM_H_
#define AUTOGLM_KERNELS_SIMD_GEMM_H_

#include "kernels/kernels.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// A panel is [depth][kPanelWidth] for float32 and float16. For bfloat16 it is [ceil(depth /
// 2)][kPanelWidth] pairs, with an odd last depth paired with zero.
template <typename V>
constexpr int64_t kPanelWidth = V::kTileVectors * V::kWidth;

// Depth of the slab of a panel that all rows are multiplied with in turn: 256 KiB at most, so that
// it stays in the second-level cache. Even, so that no pair is split.
constexpr int64_t kDepthBlock = 1024;

template <typename V>
size_t PanelBytes(const WeightFormat& format, int64_t depth) {
  const int64_t width = kPanelWidth<V>;
  const int64_t lanes = format.type == WeightType::kBfloat16 ? (depth + 1) / 2 : depth;
  const int64_t lane_bytes = format.type == WeightType::kFloat16 ? 2 : 4;
  const size_t bytes = static_cast<size_t>(lanes * width * lane_bytes);
  return (bytes + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

// Sets panel[lane][n] to read(n, lane), in blocks of lanes: each cache line of a row is read once,
// while the lines that it is scattered over stay in the cache.
template <typename V, typename Lane, typename Read>
void PackLanes(const PackPanelArgs& args, int64_t num_lanes, const Read& read) {
  constexpr int64_t kLaneBlock = 32;
  Lane* panel = static_cast<Lane*>(args.panel);
  for (int64_t begin = 0; begin < num_lanes; begin += kLaneBlock) {
    const int64_t end = num_lanes - begin < kLaneBlock ? num_lanes : begin + kLaneBlock;
    for (int64_t n = 0; n < kPanelWidth<V>; ++n) {
      for (int64_t lane = begin; lane < end; ++lane) {
        panel[lane * kPanelWidth<V> + n] = n < args.num_rows ? read(n, lane) : Lane{0};
      }
    }
  }
}

template <typename V, typename T>
void PackByDepth(const PackPanelArgs& args) {
  const T* rows = static_cast<const T*>(args.rows);
  PackLanes<V, T>(args, args.depth,
                  [&](int64_t n, int64_t depth) { return rows[n * args.depth + depth]; });
}

template <typename V>
void PackPairs(const PackPanelArgs& args) {
  const uint16_t* rows = static_cast<const uint16_t*>(args.rows);
  PackLanes<V, uint32_t>(args, (args.depth + 1) / 2, [&](int64_t n, int64_t lane) {
    const uint16_t* pair = rows + n * args.depth + 2 * lane;
    const uint32_t odd = 2 * lane + 1 < args.depth ? pair[1] : 0u;
    return pair[0] | odd << 16;
  });
}

template <typename V>
void PackPanel(const PackPanelArgs& args) {
  switch (args.format.type) {
    case WeightType::kFloat32:
      return PackByDepth<V, uint32_t>(args);
    case WeightType::kFloat16:
      return PackByDepth<V, uint16_t>(args);
    case WeightType::kBfloat16:
      return PackPairs<V>(args);
  }
}

template <typename V, int kRows>
using PanelTile = Tile<V, kRows, V::kTileVectors>;

// The part of one panel's product that spans depth depth_begin..depth_end - 1.
struct PanelBlock {
  const void* panel;
  int64_t column;  // of the output, at which the panel starts
  int64_t width;   // columns of the panel that exist
  int64_t depth_begin;
  int64_t depth_end;
};

// Returns the number of columns of vector v that exist, 0..kWidth.
template <typename V>
int64_t ColumnsOf(const PanelBlock& block, int v) {
  const int64_t count = block.width - v * V::kWidth;
  return count < 0 ? 0 : count < V::kWidth ? count : V::kWidth;
}

// Reads the sums of the depths before the block from y, or starts at zero.
template <typename V, int kRows>
void LoadSums(const GemmArgs& args, const PanelBlock& block, int64_t row,
              PanelTile<V, kRows>& tile) {
  if (block.depth_begin == 0) return tile.Clear();
#pragma GCC unroll 4
  for (int v = 0; v < V::kTileVectors; ++v) {
    const float* y = args.y + row * args.y_stride + block.column + v * V::kWidth;
    const int64_t count = ColumnsOf<V>(block, v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r, y += args.y_stride) tile.sums[r][v] = V::LoadFirst(y, count);
  }
}

// Writes the sums to y, with the bias after the last block of depth.
template <typename V, int kRows>
void StoreSums(const GemmArgs& args, const PanelBlock& block, int64_t row,
               const PanelTile<V, kRows>& tile) {
  const bool has_bias = args.bias != nullptr && block.depth_end == args.depth;
#pragma GCC unroll 4
  for (int v = 0; v < V::kTileVectors; ++v) {
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

template <typename V>
PairWeights<V> PairsOf(const PanelBlock& block) {
  const uint32_t* pairs = static_cast<const uint32_t*>(block.panel);
  return {pairs + block.depth_begin / 2 * kPanelWidth<V>, kPanelWidth<V>};
}

template <typename V, int kRows>
void AccumulateBlock(WeightType type, const PanelBlock& block, const float* const x[kRows],
                     PanelTile<V, kRows>& tile) {
  constexpr int64_t kWidth = kPanelWidth<V>;
  const int64_t depth = block.depth_end - block.depth_begin;
  const void* panel = block.panel;
  switch (type) {
    case WeightType::kFloat32: {
      const float* weights = static_cast<const float*>(panel) + block.depth_begin * kWidth;
      return tile.Accumulate(x, depth, Float32Weights<V>{weights, kWidth});
    }
    case WeightType::kFloat16: {
      const uint16_t* weights = static_cast<const uint16_t*>(panel) + block.depth_begin * kWidth;
      return tile.Accumulate(x, depth, Float16Weights<V>{weights, kWidth});
    }
    case WeightType::kBfloat16:
      return tile.Accumulate(x, depth, PairsOf<V>(block));
  }
}

// Multiplies the rows x of the tile, which start at the block's first depth.
template <typename V, int kRows>
void MultiplyTile(const GemmArgs& args, const PanelBlock& block, int64_t row,
                  const float* const x[kRows]) {
  PanelTile<V, kRows> tile;
  LoadSums(args, block, row, tile);
  AccumulateBlock(args.format.type, block, x, tile);
  StoreSums(args, block, row, tile);
}

template <typename V>
void MultiplyFloat32(const GemmArgs& args, const PanelBlock& block) {
  const float* begin = static_cast<const float*>(args.x) + block.depth_begin;
  ForEachTile<V::kTileRows>(0, args.num_rows, [&](auto rows, int64_t row) {
    const float* x[rows.kCount];
    for (int r = 0; r < rows.kCount; ++r) x[r] = begin + (row + r) * args.x_stride;
    MultiplyTile<V, rows.kCount>(args, block, row, x);
  });
}

// Widens the rows of each tile first. Widening is exact, so the sums are those of float32 rows.
template <typename V>
void MultiplyBfloat16(const GemmArgs& args, const PanelBlock& block) {
  const uint16_t* begin = static_cast<const uint16_t*>(args.x) + block.depth_begin;
  const int64_t depth = block.depth_end - block.depth_begin;
  float wide[V::kTileRows][kDepthBlock];
  ForEachTile<V::kTileRows>(0, args.num_rows, [&](auto rows, int64_t row) {
    const float* x[rows.kCount];
    for (int r = 0; r < rows.kCount; ++r) {
      const uint16_t* narrow = begin + (row + r) * args.x_stride;
      for (int64_t d = 0; d < depth; d += V::kWidth) {
        const int64_t count = depth - d < V::kWidth ? depth - d : int64_t{V::kWidth};
        V::StoreFirst(wide[r] + d, V::LoadFirst(narrow + d, count), count);
      }
      x[r] = wide[r];
    }
    MultiplyTile<V, rows.kCount>(args, block, row, x);
  });
}

// Multiplies bfloat16 rows with bfloat16 weights, without widening.
template <typename V>
void MultiplyPairs(const GemmArgs& args, const PanelBlock& block) {
  const uint16_t* begin = static_cast<const uint16_t*>(args.x) + block.depth_begin;
  ForEachTile<V::kTileRows>(0, args.num_rows, [&](auto rows, int64_t row) {
    const uint16_t* x[rows.kCount];
    for (int r = 0; r < rows.kCount; ++r) x[r] = begin + (row + r) * args.x_stride;
    PanelTile<V, rows.kCount> tile;
    LoadSums(args, block, row, tile);
    tile.AccumulatePairs(x, block.depth_end - block.depth_begin, PairsOf<V>(block));
    StoreSums(args, block, row, tile);
  });
}

template <typename V>
void MultiplyBlock(const GemmArgs& args, const PanelBlock& block) {
  if (args.x_dtype == Dtype::kFloat32) return MultiplyFloat32<V>(args, block);
  if constexpr (V::kHasBfloat16Dot) {
    if (args.format.type == WeightType::kBfloat16) return MultiplyPairs<V>(args, block);
  }
  MultiplyBfloat16<V>(args, block);
}

template <typename V>
void Multiply(const GemmArgs& args) {
  const size_t panel_bytes = PanelBytes<V>(args.format, args.depth);
  const char* panel = static_cast<const char*>(args.panels);
  for (int64_t column = 0; column < args.num_columns; column += kPanelWidth<V>) {
    const int64_t rest = args.num_columns - column;
    const int64_t width = rest < kPanelWidth<V> ? rest : kPanelWidth<V>;
    // An empty depth has one block too, which writes the bias.
    int64_t depth = 0;
    do {
      const int64_t end = args.depth - depth < kDepthBlock ? args.depth : depth + kDepthBlock;
      MultiplyBlock<V>(args, {panel, column, width, depth, end});
      depth = end;
    } while (depth < args.depth);
    panel += panel_bytes;
  }
}

template <typename V>
GemmKernels Gemm(const char* isa) {
  return {.isa = isa,
          .panel_width = kPanelWidth<V>,
          .panel_bytes = PanelBytes<V>,
          .pack_panel = PackPanel<V>,
          .multiply = Multiply<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_GEMM_H_
