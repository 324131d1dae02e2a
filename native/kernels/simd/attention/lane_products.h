#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/lane_dots.h"
#include "kernels/simd/attention/lane_tiles.h"
#include "kernels/simd/attention/softmax_rows.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// Both products of attention by lanes of several numbers (lane_dots.h). A block of keys is packed
// transposed, as lanes of consecutive dims, and its values interleaved, as lanes of consecutive keys.
template <typename V, typename Dots, int64_t kMaxRows>
class LaneProducts {
 public:
  static constexpr int64_t kKeyBlock = 64;
  static constexpr int64_t kMaxDim = kMaxHeadDim;
  static constexpr int kPowerDegree = Dots::kPowerDegree;
  static constexpr bool kMayTakeRows = !Dots::kIsExact;

  alignas(64) float scores[kMaxRows][kKeyBlock];  // of a block

  explicit LaneProducts(int64_t head_dim)
      : head_dim_(head_dim),
        num_dim_lanes_((head_dim + kDepths - 1) / kDepths),
        value_stride_((head_dim + kNumbers - 1) / kNumbers * kNumbers) {}

  // Of a packed block: keys [num_dim_lanes][kKeyBlock], values [kKeyBlock / kDepths][value_stride], and
  // scales of both, [kKeyBlock] each.
  int64_t BlockBytes() const {
    return (KeyLanes() + kKeyBlock / kDepths * value_stride_ + 2 * kKeyBlock) * kLaneBytes;
  }

  void PrepareQueries(const AttentionRow* rows, int64_t num_rows) {
    for (int64_t row = 0; row < num_rows; ++row) {
      queries_[row] = Dots::PrepareQuery(rows[row].q, head_dim_, query_lanes_[row]);
    }
  }

  // Packs what the rows of a block are multiplied with, where they have scales: keys scale scores, and
  // values scale probabilities.
  template <typename Rows>
  void PackScales(const Rows& keys, const Rows& values, int64_t key, int64_t count,
                  float* block) const {
    if constexpr (Rows::kHasScales) {
      keys.LoadScales(key, count, KeyScales(block), kKeyBlock);
      values.LoadScales(key, count, ValueScales(block), kKeyBlock);
    }
  }

  template <typename T>
  void PackKeys(const T* const* rows, int64_t count, float* block) const {
    const int64_t whole = head_dim_ / kNumbers * kNumbers;
    const auto load = [&](const T* row, int64_t lane) {
      const int64_t d = lane * kDepths;
      return V::LanesAsBits(Dots::LoadKey(row + d, d < whole ? kNumbers : head_dim_ - d));
    };
    LoadTransposed<V>(rows, count, num_dim_lanes_, block, kKeyBlock, load);
  }

  // Sets scores[row][j] to q . k_j for the `count` keys of a block.
  template <typename Rows>
  void ScoreKeys(const AttentionRow*, int64_t begin, int64_t end, const float* block,
                 int64_t count) {
    constexpr int64_t kGroup = V::kTileVectors * V::kWidth;
    ForEachTile<V::kDotTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      for (int64_t column = 0; column < count; column += kGroup) {
        ScoreColumns<tile_rows.kCount, V::kTileVectors, Rows::kHasScales>(row, {column, count},
                                                                          block);
      }
    });
  }

  // Turns the probabilities of a row, of which those of `visible` keys are not zero, into lanes.
  template <typename Rows>
  void PrepareProbabilities(int64_t row, int64_t visible, const typename V::Float* probabilities,
                            const float* block) {
    constexpr int kVectors = kKeyBlock / V::kWidth;
    if constexpr (Rows::kHasScales) {
      probability_scales_[row] = Dots::template PrepareProbabilities<kVectors>(
          probabilities, ValueScales(block), visible, probability_lanes_[row]);
    } else {
      Dots::template PrepareProbabilities<kVectors>(probabilities, probability_lanes_[row]);
    }
  }

  template <typename T>
  void PackValues(const T* const* rows, int64_t count, float* block) const {
    auto* target = reinterpret_cast<uint32_t*>(block) + KeyLanes();
    for (int64_t j = 0; j < count; j += kDepths, target += value_stride_) {
      int64_t d = 0;
      for (; d + kNumbers <= head_dim_; d += kNumbers) {
        PackValueLanes(rows + j, d, kNumbers, count - j, target + d);
      }
      if (d < head_dim_) PackValueLanes(rows + j, d, head_dim_ - d, count - j, target + d);
    }
  }

  // Adds the values of the block at `key`, of `count` keys, to the sums of the rows that see any of it.
  void AddValues(AttentionRow* rows, int64_t begin, int64_t end, const float* block, int64_t key,
                 int64_t count) {
    const LaneRange all = {ValueLanes(block), (count + kDepths - 1) / kDepths};
    ForEachTile<V::kDotTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      constexpr int kRows = tile_rows.kCount;
      // Sums of integers are exact: a value that a row must not see is multiplied by its zero.
      if (Dots::kIsExact || rows[row].num_keys >= key + count) {
        return AddLanes<kRows>(rows, row, 0, all);
      }
      if constexpr (!Dots::kIsExact) AddSeenValues<kRows>(rows, row, all, key);
    });
  }

  // Returns whether a tile of rows is multiplied with keys and values as they lie, by ScoreRows and
  // AddRows: what would be packed for this tile alone is arranged in registers, with the same sums.
  bool TakesRows(const AttentionRow* rows, int64_t num_rows) const {
    return kMayTakeRows && num_rows <= V::kDotTileRows && head_dim_ % kNumbers == 0 &&
           rows[0].num_keys == rows[num_rows - 1].num_keys;
  }

  template <typename T>
  void ScoreRows(const T* const* keys, int64_t count, int64_t num_rows) {
    VisitTile<V::kDotTileRows>(num_rows, 0, [&](auto tile_rows, int64_t) {
      ScoreRowTile<V, Dots, tile_rows.kCount>(keys, count, num_dim_lanes_, query_lanes_, queries_,
                                              scores);
    });
  }

  template <typename T>
  void AddRows(const AttentionRow* rows, const T* const* values, int64_t count, int64_t num_rows) {
    constexpr int kVectors = V::kTileVectors / kDepths;
    VisitTile<V::kDotTileRows>(num_rows, 0, [&](auto tile_rows, int64_t) {
      constexpr int kRows = tile_rows.kCount;
      int64_t d = 0;
      for (; d + kVectors * kNumbers <= head_dim_; d += kVectors * kNumbers) {
        AddRowTile<V, Dots, kRows, kVectors>(rows, values, count, d, probability_lanes_);
      }
      for (; d < head_dim_; d += kNumbers) {
        AddRowTile<V, Dots, kRows, 1>(rows, values, count, d, probability_lanes_);
      }
    });
  }

 private:
  static constexpr int64_t kDepths = Dots::kDepths;
  static constexpr int64_t kNumbers = kDepths * V::kWidth;  // of a vector of lanes
  static constexpr int64_t kLaneBytes = sizeof(uint32_t);

  struct LaneRange {
    const uint32_t* values;  // [count][value_stride_]
    int64_t count;
  };
  // Columns of scores from `begin` on, of `end` in all.
  struct ColumnRange {
    int64_t begin;
    int64_t end;
  };

  int64_t KeyLanes() const { return num_dim_lanes_ * kKeyBlock; }
  const uint32_t* ValueLanes(const float* block) const {
    return reinterpret_cast<const uint32_t*>(block) + KeyLanes();
  }
  template <typename Float>
  Float* KeyScales(Float* block) const {
    return block + KeyLanes() + kKeyBlock / kDepths * value_stride_;
  }
  template <typename Float>
  Float* ValueScales(Float* block) const {
    return KeyScales(block) + kKeyBlock;
  }

  // Packs `count` numbers from d on of kDepths rows, of which `num_rows` are of the block: in the place
  // of a row beyond it stand zeros.
  template <typename T>
  [[gnu::always_inline]] static void PackValueLanes(const T* const* rows, int64_t d, int64_t count,
                                                    int64_t num_rows, uint32_t* target) {
    typename Dots::Lanes lanes[kDepths];
    Dots::LoadValues(rows, d, count, lanes);
#pragma GCC unroll 4
    for (int i = 0; i < kDepths; ++i) {
      if constexpr (!Dots::kIsExact) {
        if (num_rows < kDepths) lanes[i] = V::KeepLowHalves(lanes[i]);
      }
      V::StoreLanes(target + i * V::kWidth, lanes[i]);
    }
  }

  // Scores kVectors vectors of columns, or half of them where that suffices.
  template <int kRows, int kVectors, bool kHasScales>
  void ScoreColumns(int64_t row, const ColumnRange& columns, const float* block) {
    if constexpr (kVectors > 1) {
      if (columns.end - columns.begin <= kVectors / 2 * V::kWidth) {
        return ScoreColumns<kRows, kVectors / 2, kHasScales>(row, columns, block);
      }
    }
    ScoreTile<kRows, kVectors, kHasScales>(row, columns.begin, block);
  }

  // A function of its own: in a larger one the compiler moves sums to memory and back.
  template <int kRows, int kVectors, bool kHasScales>
  [[gnu::noinline]] void ScoreTile(int64_t row, int64_t column, const float* block) {
    const auto* columns = reinterpret_cast<const uint32_t*>(block) + column;
    LaneTile<V, Dots, kRows, kVectors> tile;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) tile.sums[r][v] = Dots::Zero();
    }
    const uint32_t* x[kRows];
    for (int r = 0; r < kRows; ++r) x[r] = query_lanes_[row + r];
    tile.template Accumulate<Dots::AddKeys>(x, num_dim_lanes_, columns, kKeyBlock);
    if constexpr (Dots::kQueryPasses == 2) {
      for (int r = 0; r < kRows; ++r) x[r] += kMaxHeadDim / kDepths;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) tile.sums[r][v] = Dots::NextPass(tile.sums[r][v]);
      }
      tile.template Accumulate<Dots::AddKeys>(x, num_dim_lanes_, columns, kKeyBlock);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const int64_t first = column + v * V::kWidth;
        typename V::Float score = Dots::ScoresOf(tile.sums[r][v], queries_[row + r]);
        if constexpr (kHasScales) score = V::Multiply(score, V::Load(KeyScales(block) + first));
        V::Store(scores[row + r] + first, score);
      }
    }
  }

  // Adds first the lanes that all rows see, then for each row those that only it sees. The last may
  // have a value that the row does not see, in whose place zero is added: a product with infinity or
  // NaN would not be zero.
  template <int kRows>
  void AddSeenValues(AttentionRow* rows, int64_t row, const LaneRange& all, int64_t key) {
    const auto values_at = [&](int64_t lane) { return all.values + lane * value_stride_; };
    int64_t shared = kKeyBlock / kDepths;
    for (int r = 0; r < kRows; ++r) {
      const int64_t whole = rows[row + r].template VisibleKeys<kKeyBlock>(key) / kDepths;
      if (whole < shared) shared = whole;
    }
    AddLanes<kRows>(rows, row, 0, {all.values, shared});
    for (int64_t r = row; r < row + kRows; ++r) {
      const int64_t visible = rows[r].template VisibleKeys<kKeyBlock>(key);
      const int64_t whole = visible / kDepths;
      if (whole > shared) AddLanes<1>(rows, r, shared, {values_at(shared), whole - shared});
      if (visible % kDepths == 0) continue;
      alignas(64) uint32_t last[kMaxHeadDim];
      for (int64_t d = 0; d < value_stride_; d += V::kWidth) {
        V::StoreLanes(last + d, V::KeepLowHalves(V::LoadPairs(values_at(whole) + d)));
      }
      AddLanes<1>(rows, r, whole, {last, 1});
    }
  }

  // Adds lanes from `first` on, with columns in groups of vectors that fill the registers.
  template <int kRows>
  void AddLanes(AttentionRow* rows, int64_t row, int64_t first, const LaneRange& lanes) {
    constexpr int64_t kGroup = V::kTileVectors * V::kWidth;
    int64_t column = 0;
    for (; column + kGroup <= head_dim_; column += kGroup) {
      AddColumns<kRows, V::kTileVectors>(rows, row, first, lanes, column);
    }
    if constexpr (V::kTileVectors > 2) {
      if (column + kGroup / 2 <= head_dim_) {
        AddColumns<kRows, V::kTileVectors / 2>(rows, row, first, lanes, column);
        column += kGroup / 2;
      }
    }
    for (; column < head_dim_; column += V::kWidth) {
      AddColumns<kRows, 1>(rows, row, first, lanes, column);
    }
  }

  template <int kRows, int kVectors>
  [[gnu::noinline]] void AddColumns(AttentionRow* rows, int64_t row, int64_t first, const LaneRange& lanes,
                  int64_t column) {
    // Only a vector alone may be partial.
    const int64_t count = kVectors == 1 ? ElementsOf<V>(head_dim_ - column, 0) : int64_t{V::kWidth};
    LaneTile<V, Dots, kRows, kVectors> tile;
    const uint32_t* x[kRows];
    for (int r = 0; r < kRows; ++r) x[r] = probability_lanes_[row + r] + first;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        if constexpr (Dots::kIsExact) {
          tile.sums[r][v] = Dots::Zero();
        } else {
          tile.sums[r][v] = V::LoadFirst(rows[row + r].out + column + v * V::kWidth, count);
        }
      }
    }
    tile.template Accumulate<Dots::AddValues>(x, lanes.count, lanes.values + column, value_stride_);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        float* const out = rows[row + r].out + column + v * V::kWidth;
        if constexpr (Dots::kIsExact) {
          const typename V::Float scale = V::Set(probability_scales_[row + r]);
          V::StoreFirst(out,
                        V::MultiplyAdd(V::ConvertLanes(tile.sums[r][v]), scale,
                                       V::LoadFirst(out, count)),
                        count);
        } else {
          V::StoreFirst(out, tile.sums[r][v], count);
        }
      }
    }
  }

  const int64_t head_dim_;
  const int64_t num_dim_lanes_;
  const int64_t value_stride_;
  LaneQuery queries_[kMaxRows];
  float probability_scales_[kMaxRows];
  alignas(64) uint32_t query_lanes_[kMaxRows][kMaxHeadDim / 2];
  alignas(64) uint32_t probability_lanes_[kMaxRows][kKeyBlock / kDepths];
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_
