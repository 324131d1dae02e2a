#ifndef AUTOGLM_KERNELS_AMX_TILE_GEMM_H_
#define AUTOGLM_KERNELS_AMX_TILE_GEMM_H_

#include <cstdint>

#include "kernels/amx/expanded_gemm.h"
#include "kernels/amx/sum_block.h"
#include "kernels/amx/tile_input.h"
#include "kernels/amx/tile_output.h"
#include "kernels/amx/tiles.h"
#include "kernels/kernels.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {
namespace {

// Products on tiles: bfloat16 inputs with bfloat16 weights, and integers with integers; see
// expanded_gemm.h for bfloat16 with integers. A sum grows
// by one instruction a step, in order, so that its bits depend neither on the rows beside it nor on
// where it was stored and loaded between two steps.

// Up to this number of rows, reading the weights takes longer than multiplying them: a panel is
// read from its begin to its end, and sums never leave their registers.
constexpr int64_t kFewRows = 2 * kTileRows;

// The task of more rows. Its sums, the inputs of two turns and the weights of two panels for a turn
// fill the second-level cache.
constexpr int64_t kTaskRows = 512;
constexpr int64_t kTaskPanels = 4;
constexpr size_t kScratchBytes =
    sizeof(float) * static_cast<size_t>(kTaskRows * kTaskPanels * kMaxPanelWidth);

// Kinds of numbers that a product multiplies.
template <typename T>
struct PairProduct {
  using Dots = PairDots<T>;
  static constexpr int64_t kValueBytes = 2;

  static void Store(const GemmArgs& args, const TilePanel& panel, const CompleteTile& tile) {
    StoreFloatTile(args, panel, tile);
  }
};

template <typename T>
struct ByteProduct {
  using Dots = ByteDots<T>;
  static constexpr int64_t kValueBytes = 1;

  static void Store(const GemmArgs& args, const TilePanel& panel, const CompleteTile& tile) {
    StoreIntegerTile(args, panel, tile);
  }
};

// Writes the complete sums of a block to y.
template <typename Product, typename Block>
void StoreBlock(const GemmArgs& args, const TilePanel& panel, const BlockPlace& place,
                float* sums) {
  Block::Store(sums);
  for (int tile = 0; tile < kNumSumTiles; ++tile) {
    const int64_t row = Block::RowOf(tile);
    const int64_t rest = place.num_rows - row;
    Product::Store(args, panel,
                   {.sums = sums + tile * kTileSums,
                    .row = place.row + row,
                    .num_rows = rest < kTileRows ? rest : kTileRows,
                    .column = place.column + Block::ColumnOf(tile)});
  }
}

// Returns the panel that starts at a column of the output.
template <typename V>
TilePanel PanelAt(const GemmArgs& args, int64_t column) {
  const QuantizedLayout<V> layout(args.format, args.depth);
  const char* panel =
      static_cast<const char*>(args.panels) +
      static_cast<size_t>(column / kMaxPanelWidth) * PanelBytes<V>(args.format, args.depth);
  const int64_t rest = args.num_columns - column;
  return {.lanes = reinterpret_cast<const uint32_t*>(panel),
          .scales = panel + layout.scale_offset,
          .offsets = reinterpret_cast<const uint32_t*>(panel + layout.extra_offset),
          .column = column,
          .width = rest < kMaxPanelWidth ? rest : kMaxPanelWidth};
}

// How far ahead of its products a panel is asked for: two steps. What the processor fetches by itself
// ends at each page of 4 KiB, which is one step.
constexpr int64_t kRowsAheadBytes = 2 * kTileRows * kLaneRowBytes;

// Asks for a block's columns of a later step's weights.
template <typename Block>
void FetchStepAhead(const uint32_t* lanes) {
  for (int64_t row = 0; row < kTileRows; ++row, lanes += kMaxPanelWidth) {
#pragma GCC unroll 4
    for (int64_t column = 0; column < Block::kColumns; column += kTileColumns) {
      FetchAhead(lanes + column, kRowsAheadBytes);
    }
  }
}

// Multiplies a block of few rows over the whole depth.
template <typename Product, typename Block>
void MultiplyRowBlock(const GemmArgs& args, const TilePanel& panel, const BlockPlace& place) {
  using Dots = typename Product::Dots;
  const int64_t row_bytes = args.depth * Product::kValueBytes;
  const int64_t x_stride = args.x_stride * Product::kValueBytes;
  const uint8_t* x = static_cast<const uint8_t*>(args.x) + place.row * x_stride;
  const BlockInput input = {x, x + kTileRows * x_stride, x_stride, kTileRowBytes};
  const int64_t num_whole = row_bytes / kTileRowBytes;
  Block::Zero();
  for (int64_t step = 0; step < num_whole; ++step) {
    const uint32_t* lanes = panel.lanes + step * kTileRows * kMaxPanelWidth + place.column;
    FetchStepAhead<Block>(lanes);
    Block::template AddStep<Dots>(input, step, lanes);
  }
  if (const int64_t tail_bytes = row_bytes % kTileRowBytes; tail_bytes > 0) {
    TailStep tail;
    tail.CopyInput(x + num_whole * kTileRowBytes, x_stride, place.num_rows, tail_bytes);
    tail.CopyLanes(panel.lanes + num_whole * kTileRows * kMaxPanelWidth, (tail_bytes + 3) / 4);
    const BlockInput tail_input = {tail.x[0], tail.x[kTileRows], kTileRowBytes, 0};
    Block::template AddStep<Dots>(tail_input, 0, tail.lanes[0] + place.column);
  }
  alignas(64) float sums[kBlockSums];
  StoreBlock<Product, Block>(args, panel, place, sums);
}

template <typename Product, typename T>
void MultiplyRows(const GemmArgs& args) {
  using V = Avx512Vector;
  using Square = SquareBlock<T>;
  using Wide = WideBlock<T>;
  for (int64_t row = 0; row < args.num_rows; row += Square::kRows) {
    const int64_t rest = args.num_rows - row;
    const int64_t num_rows = rest < Square::kRows ? rest : Square::kRows;
    num_rows <= Wide::kRows ? Wide::Configure(num_rows) : Square::Configure(num_rows);
    for (int64_t start = 0; start < args.num_columns; start += kMaxPanelWidth) {
      const TilePanel panel = PanelAt<V>(args, start);
      if (num_rows <= Wide::kRows) {
        MultiplyRowBlock<Product, Wide>(args, panel, {row, num_rows, 0});
        continue;
      }
      for (int64_t column = 0; column < panel.width; column += Square::kColumns) {
        MultiplyRowBlock<Product, Square>(args, panel, {row, num_rows, column});
      }
    }
  }
}

// Lines of memory that are needed next, brought to a cache a few a step: those that arrive all at once
// would leave the tiles waiting. kLocality: 3 for the first-level cache, 2 for the second.
template <int kLocality>
struct LineStream {
  const char* next = nullptr;
  const char* end = nullptr;

  template <int kLines>
  [[gnu::always_inline]] void Fetch() {
    if (next >= end) return;
#pragma GCC unroll 8
    for (int line = 0; line < kLines; ++line) {
      __builtin_prefetch(next + line * kTileRowBytes, 0, kLocality);
    }
    next += kLines * kTileRowBytes;
  }
};

// One turn of a task: the steps for which each block's sums are loaded once.
struct Turn {
  int64_t index;
  int64_t num_steps;
  bool is_last;
  LineStream<2> next_input = {};
  LineStream<2> next_weights = {};
};

template <typename Product, typename Block>
void MultiplyTurnBlock(const GemmArgs& args, const TilePanel& panel, const TiledInput& input,
                       const BlockPlace& place, const uint32_t* lanes, Turn& turn, float* sums) {
  const BlockInput x = input.BlockAt(place.row, turn.index);
  turn.index == 0 ? Block::Zero() : Block::Load(sums);
  // Copies in registers: tiles may read any memory that is visible elsewhere.
  LineStream<2> next_input = turn.next_input;
  LineStream<2> next_weights = turn.next_weights;
  // Sums are loaded where no product can hide their way from the second-level cache.
  const char* next_block = reinterpret_cast<const char*>(sums + kBlockSums);
  LineStream<3> next_sums = {next_block, next_block + sizeof(float) * kBlockSums};
  const int64_t num_steps = turn.num_steps;
  for (int64_t step = 0; step < num_steps; ++step) {
    Block::template AddStep<typename Product::Dots>(
        x, step, lanes + step * kTileRows * kMaxPanelWidth + place.column);
    next_input.Fetch<4>();
    next_weights.Fetch<2>();
    next_sums.Fetch<8>();
  }
  turn.next_input = next_input;
  turn.next_weights = next_weights;
  if (!turn.is_last) return Block::Store(sums);
  StoreBlock<Product, Block>(args, panel, place, sums);
}

// Multiplies all rows with a panel for one turn. sums: [ceil(rows / 32)][2][kBlockSums].
template <typename Product, typename T>
void MultiplyTurn(const GemmArgs& args, const TilePanel& panel, const TiledInput& input,
                  const uint32_t* lanes, Turn& turn, float* sums) {
  using Square = SquareBlock<T>;
  using Wide = WideBlock<T>;
  const int64_t num_squared = args.num_rows - args.num_rows % Square::kRows;
  const int64_t rest = args.num_rows - num_squared;
  int64_t row = 0;
  const auto multiply_squares = [&](int64_t num_rows) {
    for (int64_t column = 0; column < kMaxPanelWidth; column += Square::kColumns) {
      MultiplyTurnBlock<Product, Square>(args, panel, input, {row, num_rows, column}, lanes, turn,
                                         sums);
      sums += kBlockSums;
    }
    row += num_rows;
  };
  if (num_squared > 0) Square::Configure(Square::kRows);
  while (row < num_squared) multiply_squares(Square::kRows);
  if (rest > Wide::kRows) {
    Square::Configure(rest);
    multiply_squares(rest);
  } else if (rest > 0) {
    Wide::Configure(rest);
    MultiplyTurnBlock<Product, Wide>(args, panel, input, {row, rest, 0}, lanes, turn, sums);
  }
}

template <typename Product, typename T>
void MultiplyTask(const GemmArgs& args) {
  using V = Avx512Vector;
  const int64_t row_bytes = args.depth * Product::kValueBytes;
  const TiledInput input = {static_cast<const uint8_t*>(args.x), args.num_rows,
                            NumSteps(row_bytes)};
  const int64_t panel_sums = (args.num_rows + 2 * kTileRows - 1) / (2 * kTileRows) * 2 * kBlockSums;
  constexpr int64_t kTurnLanes = kStepsPerTurn * kTileRows * kMaxPanelWidth;
  const int64_t num_turns = (input.num_steps + kStepsPerTurn - 1) / kStepsPerTurn;
  const int64_t tail_bytes = row_bytes % kTileRowBytes;
  for (int64_t index = 0; index < num_turns; ++index) {
    Turn turn = {.index = index,
                 .num_steps = input.StepsOfTurn(index),
                 .is_last = index + 1 == num_turns};
    if (!turn.is_last) {
      const auto* next = reinterpret_cast<const char*>(input.BlockAt(0, index + 1).upper);
      const int64_t tiles = input.RowTiles() * input.StepsOfTurn(index + 1);
      turn.next_input = {next, next + tiles * kTileRows * kTileRowBytes};
    }
    float* sums = static_cast<float*>(args.scratch);
    for (int64_t start = 0; start < args.num_columns; start += kMaxPanelWidth, sums += panel_sums) {
      const TilePanel panel = PanelAt<V>(args, start);
      const uint32_t* lanes = panel.lanes + index * kTurnLanes;
      const bool has_next = start + kMaxPanelWidth < args.num_columns;
      if (has_next || !turn.is_last) {
        const TilePanel next = PanelAt<V>(args, has_next ? start + kMaxPanelWidth : 0);
        const auto* weights = reinterpret_cast<const char*>(
            next.lanes + (has_next ? index : index + 1) * kTurnLanes);
        turn.next_weights = {weights, weights + turn.num_steps * kTileRows * kLaneRowBytes};
      }
      if (!turn.is_last || tail_bytes == 0) {
        MultiplyTurn<Product, T>(args, panel, input, lanes, turn, sums);
        continue;
      }
      alignas(64) uint32_t padded[kTurnLanes];
      const int64_t num_lanes = (row_bytes + 3) / 4 * kMaxPanelWidth - index * kTurnLanes;
      for (int64_t i = 0; i < kTurnLanes; ++i) padded[i] = i < num_lanes ? lanes[i] : 0u;
      MultiplyTurn<Product, T>(args, panel, input, padded, turn, sums);
    }
  }
}

template <typename Product, typename T>
void MultiplyTiles(const GemmArgs& args) {
  if (args.x_layout == InputLayout::kTiles) {
    MultiplyTask<Product, T>(args);
  } else {
    MultiplyRows<Product, T>(args);
  }
  T::Release();
}

// Returns true if both factors are numbers that tiles multiply, which does not depend on the rows.
inline bool AreForTiles(const WeightFormat& format, Dtype x_dtype, int64_t depth) {
  if (format.quantizes_input) return true;
  if (x_dtype != Dtype::kBfloat16 || depth == 0) return false;
  if (format.type == WeightType::kBfloat16) return true;
  return IsQuantized(format) && CanExpand(format, depth);
}

// V: what multiplies the numbers that tiles cannot.
template <typename V, typename T>
void MultiplyOnTiles(const GemmArgs& args) {
  if (args.num_rows == 0 || args.num_columns == 0) return;
  if (!AreForTiles(args.format, args.x_dtype, args.depth)) return Multiply<V>(args);
  if (args.format.quantizes_input) return MultiplyTiles<ByteProduct<T>, T>(args);
  if (IsQuantized(args.format)) return MultiplyExpanded<T>(args);
  MultiplyTiles<PairProduct<T>, T>(args);
}

template <typename V>
GemmTask LargestTileTask(const WeightFormat& format, Dtype x_dtype, int64_t depth,
                         int64_t num_rows) {
  if (num_rows <= kFewRows || depth == 0 || !AreForTiles(format, x_dtype, depth)) {
    GemmTask task = LargestTask<V>(format, x_dtype, depth, num_rows);
    task.x_layout = InputLayout::kRows;  // rounded as the rows of tiles are
    return task;
  }
  return {
      .num_rows = kTaskRows, .num_panels = kTaskPanels, .x_layout = InputLayout::kTiles};
}

// The panels are those of the vectors V.
template <typename V, typename T>
GemmKernels TileGemm(const char* isa) {
  static_assert(kPanelWidth<V> == kMaxPanelWidth);
  GemmKernels gemm = Gemm<V>(isa);
  gemm.multiply = MultiplyOnTiles<V, T>;
  gemm.largest_task = LargestTileTask<V>;
  gemm.scratch_bytes = kScratchBytes;
  gemm.arrange_row = ArrangeRow;
  return gemm;
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILE_GEMM_H_
