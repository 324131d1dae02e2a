#ifndef AUTOGLM_KERNELS_AMX_EXPANDED_GEMM_H_
#define AUTOGLM_KERNELS_AMX_EXPANDED_GEMM_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/amx/sum_block.h"
#include "kernels/amx/tile_input.h"
#include "kernels/amx/tile_output.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/packed_lanes.h"
#include "kernels/simd/quantized_panel.h"

namespace autoglm::kernels {
namespace {

// Products of bfloat16 inputs with weights of integers: those of one panel and one turn are made
// pairs of bfloat16, exactly, in the first-level cache, and meet all rows there. A group's sums are
// scaled once and added to the total, group by group, for any number of rows.

constexpr int64_t kStepDepth = 32;
constexpr int64_t kTurnDepth = kStepsPerTurn * kStepDepth;

// How far ahead weights are asked for that are read from one end to the other: four steps of int4.
constexpr int64_t kStreamAheadBytes = 4 * 1024;

// Returns true if tiles multiply this format: no step spans two groups, and no group but one of the
// whole depth spans two turns.
inline bool CanExpand(const WeightFormat& format, int64_t depth) {
  if (format.quantizes_input) return false;
  if (format.group_size == 0 || format.group_size >= depth) return !format.has_zero_points;
  return format.group_size % kStepDepth == 0 && kTurnDepth % format.group_size == 0;
}

// The weights of one turn: [kStepsPerTurn][kTileRows][kMaxPanelWidth] pairs.
struct TurnWeights {
  alignas(64) uint32_t lanes[kStepsPerTurn * kTileRows * kMaxPanelWidth];
};

inline void StorePairs(uint32_t* target, __m512i pairs) { _mm512_store_si512(target, pairs); }

// Asks for the line of memory that lies so many bytes behind a line that is read now: weights come from
// memory in the time in which those before them are multiplied.
inline void FetchAhead(const uint32_t* line, int64_t ahead_bytes) {
  __builtin_prefetch(reinterpret_cast<const char*>(line) + ahead_bytes, 0, 2);
}

// Makes one row of lanes of int4, eight depths, four rows of pairs.
inline void ExpandInt4(const uint32_t* lanes, int64_t ahead_bytes, uint32_t* pairs) {
  for (int v = 0; v < kMaxPanelWidth; v += Avx512Vector::kWidth) {
    FetchAhead(lanes + v, ahead_bytes);
    const __m512i lane = Avx512Vector::LoadPairs(lanes + v);
    ForEachIndex<4>([&](auto index) __attribute__((always_inline)) {
      StorePairs(pairs + index.kValue * kMaxPanelWidth + v,
                 Avx512Vector::NibblePairs<4 * index.kValue>(lane));
    });
  }
}

// Returns two exact float32 as a pair of bfloat16.
inline __m512i PairOf(__m512 even, __m512 odd) {
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(_mm512_castps_si512(even), 16),
                                 _mm512_castps_si512(odd));
}

// Makes one row of lanes of int8, four depths, two rows of pairs.
inline void ExpandInt8(const uint32_t* lanes, int64_t ahead_bytes, uint32_t* pairs) {
  using V = Avx512Vector;
  for (int v = 0; v < kMaxPanelWidth; v += V::kWidth) {
    FetchAhead(lanes + v, ahead_bytes);
    const __m512i lane = V::LoadPairs(lanes + v);
    StorePairs(pairs + v, PairOf(V::SignedByte<0>(lane), V::SignedByte<1>(lane)));
    StorePairs(pairs + kMaxPanelWidth + v, PairOf(V::SignedByte<2>(lane), V::SignedByte<3>(lane)));
  }
}

// A product's panels of integers.
struct IntegerPanels {
  QuantizedLayout<Avx512Vector> layout;
  size_t panel_bytes;
  int64_t depth;
  bool is_int4;
  bool is_whole;  // one group has the whole depth

  explicit IntegerPanels(const GemmArgs& args)
      : layout(args.format, args.depth),
        panel_bytes(QuantizedPanelBytes<Avx512Vector>(args.format, args.depth)),
        depth(args.depth),
        is_int4(args.format.type == WeightType::kInt4),
        is_whole(layout.num_groups == 1) {}

  const char* GroupAt(const char* panel, int64_t first_depth) const {
    return is_whole ? panel : panel + first_depth / layout.group_depth * layout.group_bytes;
  }

  // Writes the pairs of a step, zeros beyond the depth. ahead_bytes: from weights of this turn to
  // those of the turn that is expanded next but one, or next.
  void ExpandStep(const char* panel, int64_t first_depth, int64_t ahead_bytes,
                  uint32_t* pairs) const {
    const char* group = GroupAt(panel, first_depth);
    const int64_t in_group = is_whole ? first_depth : first_depth % layout.group_depth;
    const uint32_t* lanes = layout.LanesAt(group, in_group);
    const int64_t rest = depth - first_depth < kStepDepth ? depth - first_depth : kStepDepth;
    const int64_t rows_of_lane = layout.lane_depths / 2;
    int64_t row = 0;
    for (int64_t d = 0; d < rest; d += layout.lane_depths, row += rows_of_lane) {
      if (is_int4) {
        ExpandInt4(lanes, ahead_bytes, pairs + row * kMaxPanelWidth);
      } else {
        ExpandInt8(lanes, ahead_bytes, pairs + row * kMaxPanelWidth);
      }
      lanes += kMaxPanelWidth;
    }
    for (int64_t i = row * kMaxPanelWidth; i < kTileRows * kMaxPanelWidth; ++i) pairs[i] = 0;
  }
};

// Returns the sum of a row of bfloat16 over steps begin .. end - 1.
inline float SumOfSteps(const uint8_t* row, int64_t step_bytes, int64_t begin, int64_t end) {
  using V = Avx512Vector;
  __m512 sum = V::Zero();
  for (int64_t step = begin; step < end; ++step) {
    const __m512i pairs = _mm512_loadu_si512(row + step * step_bytes);
    sum = V::Add(V::Add(sum, V::LowHalves(pairs)), V::HighHalves(pairs));
  }
  return V::Sum(sum);
}

// Adds the sums of a group, scaled, to the totals of a block, or starts them.
template <typename Block>
void AddGroup(const GemmArgs& args, const IntegerPanels& panels, const char* group,
              const BlockPlace& place, const float (&x_sums)[2 * kTileRows], bool is_first,
              const float* sums, float* totals) {
  using V = Avx512Vector;
  for (int tile = 0; tile < kNumSumTiles; ++tile) {
    const int64_t row_of_tile = Block::RowOf(tile);
    const int64_t rest = place.num_rows - row_of_tile;
    const int64_t num_rows = rest < kTileRows ? rest : kTileRows;
    const int64_t column = place.column + Block::ColumnOf(tile);
    const int vector = static_cast<int>(column / V::kWidth);
    const __m512 scales =
        LoadScales<V>(args.format.scale_dtype, group + panels.layout.scale_offset, vector);
    const __m512 zeros =
        args.format.has_zero_points
            ? V::LoadInt8(reinterpret_cast<const int8_t*>(group + panels.layout.extra_offset) +
                          column)
            : V::Zero();
    const float* from = sums + tile * kTileSums;
    float* to = totals + tile * kTileSums;
    for (int64_t row = 0; row < num_rows; ++row, from += kTileColumns, to += kTileColumns) {
      __m512 sum = V::Load(from);
      if (args.format.has_zero_points) {
        sum = V::NegativeMultiplyAdd(zeros, V::Set(x_sums[row_of_tile + row]), sum);
      }
      V::Store(to, V::MultiplyAdd(sum, scales, is_first ? V::Zero() : V::Load(to)));
    }
  }
}

// Writes the totals of a block to y.
template <typename Block>
void StoreTotals(const GemmArgs& args, const TilePanel& panel, const BlockPlace& place,
                 const float* totals) {
  for (int tile = 0; tile < kNumSumTiles; ++tile) {
    const int64_t row = Block::RowOf(tile);
    const int64_t rest = place.num_rows - row;
    StoreFloatTile(args, panel,
                   {.sums = totals + tile * kTileSums,
                    .row = place.row + row,
                    .num_rows = rest < kTileRows ? rest : kTileRows,
                    .column = place.column + Block::ColumnOf(tile)});
  }
}

// The steps of a turn, as each of its blocks walks them.
struct ExpandedTurn {
  int64_t first_depth;
  int64_t num_steps;
  bool is_last;
  const char* packed;     // the panel
  const uint32_t* lanes;  // of TurnWeights
};

// Multiplies a block for one turn. totals: [kBlockSums], kept from turn to turn.
template <typename T, typename Block>
void MultiplyExpandedBlock(const GemmArgs& args, const IntegerPanels& panels,
                           const TilePanel& panel, const ExpandedTurn& turn, const BlockInput& x,
                           const BlockPlace& place, float* totals) {
  const auto add_steps = [&](int64_t begin, int64_t end) {
    for (int64_t step = begin; step < end; ++step) {
      Block::template AddStep<PairDots<T>>(
          x, step, turn.lanes + step * kTileRows * kMaxPanelWidth + place.column);
    }
  };
  float x_sums[2 * kTileRows];
  if (panels.is_whole) {
    turn.first_depth == 0 ? Block::Zero() : Block::Load(totals);
    add_steps(0, turn.num_steps);
    Block::Store(totals);
    if (turn.is_last) {
      AddGroup<Block>(args, panels, turn.packed, place, x_sums, true, totals, totals);
    }
  } else {
    const int64_t group_steps = panels.layout.group_depth / kStepDepth;
    alignas(64) float sums[kBlockSums];
    for (int64_t step = 0; step < turn.num_steps; step += group_steps) {
      const int64_t end =
          step + group_steps < turn.num_steps ? step + group_steps : turn.num_steps;
      const int64_t depth = turn.first_depth + step * kStepDepth;
      Block::Zero();
      add_steps(step, end);
      Block::Store(sums);
      for (int64_t row = 0; args.format.has_zero_points && row < place.num_rows; ++row) {
        const uint8_t* upper = x.upper + row * x.row_bytes;
        const uint8_t* lower = x.lower + (row - kTileRows) * x.row_bytes;
        x_sums[row] = SumOfSteps(row < kTileRows ? upper : lower, x.step_bytes, step, end);
      }
      AddGroup<Block>(args, panels, panels.GroupAt(turn.packed, depth), place, x_sums, depth == 0,
                      sums, totals);
    }
  }
  if (turn.is_last) StoreTotals<Block>(args, panel, place, totals);
}

// Calls visit(turn) for all turns of a panel, expanded one after another.
template <typename Visit>
void ForEachExpandedTurn(const IntegerPanels& panels, const char* packed, int64_t begin,
                         int64_t end, int64_t ahead_bytes, TurnWeights& weights,
                         const Visit& visit) {
  const int64_t num_steps = (panels.depth + kStepDepth - 1) / kStepDepth;
  for (int64_t index = begin; index < end; ++index) {
    const int64_t rest = num_steps - index * kStepsPerTurn;
    const ExpandedTurn turn = {.first_depth = index * kTurnDepth,
                               .num_steps = rest < kStepsPerTurn ? rest : kStepsPerTurn,
                               .is_last = rest <= kStepsPerTurn,
                               .packed = packed,
                               .lanes = weights.lanes};
    for (int64_t step = 0; step < turn.num_steps; ++step) {
      panels.ExpandStep(packed, turn.first_depth + step * kStepDepth, ahead_bytes,
                        weights.lanes + step * kTileRows * kMaxPanelWidth);
    }
    visit(turn, index);
  }
}

inline TilePanel ExpandedPanelAt(const GemmArgs& args, int64_t column) {
  const int64_t rest = args.num_columns - column;
  return {.lanes = nullptr,
          .scales = nullptr,
          .offsets = nullptr,
          .column = column,
          .width = rest < kMaxPanelWidth ? rest : kMaxPanelWidth};
}

// Rows of a turn in a copy that is filled up with zeros, where a step is not whole.
struct PaddedRows {
  alignas(64) uint8_t x[2 * kTileRows][kStepsPerTurn * kTileRowBytes];
};

// Multiplies up to 16 rows with a panel. The depth has whole steps, and each is expanded while the
// tiles multiply the one before, so that memory is read without a pause.
template <typename T>
void MultiplyStreamedPanel(const GemmArgs& args, const IntegerPanels& panels, const char* packed,
                           const TilePanel& panel, const BlockInput& x, const BlockPlace& place) {
  using Block = WideBlock<T>;
  alignas(64) uint32_t lanes[2][kTileRows * kMaxPanelWidth];
  alignas(64) float sums[kBlockSums];
  alignas(64) float totals[kBlockSums];
  float x_sums[2 * kTileRows];
  const int64_t num_steps = panels.depth / kStepDepth;
  const int64_t group_steps =
      panels.is_whole ? num_steps : panels.layout.group_depth / kStepDepth;
  panels.ExpandStep(packed, 0, kStreamAheadBytes, lanes[0]);
  for (int64_t begin = 0; begin < num_steps; begin += group_steps) {
    const int64_t end = begin + group_steps < num_steps ? begin + group_steps : num_steps;
    Block::Zero();
    for (int64_t step = begin; step < end; ++step) {
      if (step + 1 < num_steps) {
        panels.ExpandStep(packed, (step + 1) * kStepDepth, kStreamAheadBytes,
                          lanes[(step + 1) % 2]);
      }
      Block::template AddStep<PairDots<T>>(x, step, lanes[step % 2]);
    }
    Block::Store(sums);
    for (int64_t row = 0; args.format.has_zero_points && row < place.num_rows; ++row) {
      x_sums[row] = SumOfSteps(x.upper + row * x.row_bytes, x.step_bytes, begin, end);
    }
    AddGroup<Block>(args, panels, panels.GroupAt(packed, begin * kStepDepth), place, x_sums,
                    begin == 0, sums, totals);
  }
  StoreTotals<Block>(args, panel, place, totals);
}

// Multiplies few rows: a panel is read from its begin to its end.
template <typename T>
void MultiplyExpandedRows(const GemmArgs& args) {
  using Square = SquareBlock<T>;
  using Wide = WideBlock<T>;
  const IntegerPanels panels(args);
  const int64_t x_stride = args.x_stride * 2;
  const int64_t row_bytes = args.depth * 2;
  const int64_t num_turns = (args.depth + kTurnDepth - 1) / kTurnDepth;
  TurnWeights weights;
  alignas(64) float totals[2 * kBlockSums];
  for (int64_t row = 0; row < args.num_rows; row += Square::kRows) {
    const int64_t rest = args.num_rows - row;
    const int64_t num_rows = rest < Square::kRows ? rest : Square::kRows;
    num_rows <= Wide::kRows ? Wide::Configure(num_rows) : Square::Configure(num_rows);
    const uint8_t* first = static_cast<const uint8_t*>(args.x) + row * x_stride;
    const char* packed = static_cast<const char*>(args.panels);
    for (int64_t start = 0; start < args.num_columns; start += kMaxPanelWidth) {
      const TilePanel panel = ExpandedPanelAt(args, start);
      if (num_rows <= Wide::kRows && args.depth % kStepDepth == 0) {
        const BlockInput x = {first, first + kTileRows * x_stride, x_stride, kTileRowBytes};
        MultiplyStreamedPanel<T>(args, panels, packed, panel, x, {row, num_rows, 0});
        packed += panels.panel_bytes;
        continue;
      }
      const auto multiply = [&](const ExpandedTurn& turn, int64_t) {
        const uint8_t* x = first + turn.first_depth * 2;
        BlockInput input = {x, x + kTileRows * x_stride, x_stride, kTileRowBytes};
        PaddedRows padded;
        if (turn.is_last && row_bytes % kTileRowBytes != 0) {
          const int64_t num_bytes = row_bytes - turn.first_depth * 2;
          for (int64_t r = 0; r < num_rows; ++r) {
            for (int64_t i = 0; i < turn.num_steps * kTileRowBytes; ++i) {
              padded.x[r][i] = i < num_bytes ? x[r * x_stride + i] : uint8_t{0};
            }
          }
          input = {padded.x[0], padded.x[kTileRows], sizeof(padded.x[0]), kTileRowBytes};
        }
        if (num_rows <= Wide::kRows) {
          return MultiplyExpandedBlock<T, Wide>(args, panels, panel, turn, input,
                                                {row, num_rows, 0}, totals);
        }
        for (int64_t column = 0; column < kMaxPanelWidth; column += Square::kColumns) {
          MultiplyExpandedBlock<T, Square>(args, panels, panel, turn, input,
                                           {row, num_rows, column},
                                           totals + column / Square::kColumns * kBlockSums);
        }
      };
      ForEachExpandedTurn(panels, packed, 0, num_turns, kStreamAheadBytes, weights, multiply);
      packed += panels.panel_bytes;
    }
  }
}

// Multiplies the tiles of a task.
template <typename T>
void MultiplyExpandedTask(const GemmArgs& args) {
  using Square = SquareBlock<T>;
  using Wide = WideBlock<T>;
  const IntegerPanels panels(args);
  const TiledInput input = {static_cast<const uint8_t*>(args.x), args.num_rows,
                            NumSteps(args.depth * 2)};
  const int64_t num_turns = (args.depth + kTurnDepth - 1) / kTurnDepth;
  TurnWeights weights;
  for (int64_t index = 0; index < num_turns; ++index) {
    float* totals = static_cast<float*>(args.scratch);
    const char* packed = static_cast<const char*>(args.panels);
    for (int64_t start = 0; start < args.num_columns; start += kMaxPanelWidth) {
      const TilePanel panel = ExpandedPanelAt(args, start);
      const auto multiply = [&](const ExpandedTurn& turn, int64_t turn_index) {
        int64_t configured = 0;
        for (int64_t row = 0; row < args.num_rows; row += Square::kRows) {
          const int64_t rest = args.num_rows - row;
          const int64_t num_rows = rest < Square::kRows ? rest : Square::kRows;
          const bool is_wide = num_rows <= Wide::kRows;
          if (num_rows != configured) {
            is_wide ? Wide::Configure(num_rows) : Square::Configure(num_rows);
          }
          configured = num_rows;
          const BlockInput x = input.BlockAt(row, turn_index);
          if (is_wide) {
            MultiplyExpandedBlock<T, Wide>(args, panels, panel, turn, x, {row, num_rows, 0},
                                           totals);
          } else {
            for (int64_t column = 0; column < kMaxPanelWidth; column += Square::kColumns) {
              MultiplyExpandedBlock<T, Square>(args, panels, panel, turn, x,
                                               {row, num_rows, column},
                                               totals + column / Square::kColumns * kBlockSums);
            }
          }
          totals += 2 * kBlockSums;
        }
      };
      ForEachExpandedTurn(panels, packed, index, index + 1,
                          static_cast<int64_t>(panels.panel_bytes), weights, multiply);
      packed += panels.panel_bytes;
    }
  }
}

template <typename T>
void MultiplyExpanded(const GemmArgs& args) {
  if (args.x_layout == InputLayout::kTiles) {
    MultiplyExpandedTask<T>(args);
  } else {
    MultiplyExpandedRows<T>(args);
  }
  T::Release();
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_EXPANDED_GEMM_H_
