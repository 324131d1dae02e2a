#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/lane_dots.h"
#include "kernels/simd/attention/softmax_rows.h"
#include "kernels/simd/tile.h"

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

// Both products of attention by lanes of several numbers (lane_dots.h). A block of keys is transposed
// once for all rows, as lanes of consecutive dims, and its values are interleaved, as lanes of
// consecutive keys.
template <typename V, typename Dots, int64_t kMaxRows>
class LaneProducts {
 public:
  static constexpr int64_t kKeyBlock = 64;
  static constexpr int64_t kMaxDim = kMaxHeadDim;

  alignas(64) float scores[kMaxRows][kKeyBlock];  // of a block, then probabilities

  explicit LaneProducts(int64_t head_dim)
      : head_dim_(head_dim),
        num_dim_lanes_((head_dim + kDepths - 1) / kDepths),
        value_stride_((head_dim + kNumbers - 1) / kNumbers * kNumbers) {}

  void PrepareQueries(const AttentionRow* rows, int64_t num_rows) {
    for (int64_t row = 0; row < num_rows; ++row) {
      queries_[row] = Dots::PrepareQuery(rows[row].q, head_dim_, query_lanes_[row]);
    }
  }

  // Loads what the rows of a block are multiplied with, where they have scales: keys scale scores, and
  // values scale probabilities.
  template <typename Rows>
  void LoadScales(const Rows& keys, const Rows& values, int64_t key, int64_t count) {
    if constexpr (Rows::kHasScales) {
      keys.LoadScales(key, count, key_scales_, kKeyBlock);
      values.LoadScales(key, count, value_scales_, kKeyBlock);
    }
  }

  template <typename T>
  void LoadKeys(const T* const* rows) {
    const auto load = [&](const T* row, int64_t lane) {
      return V::LanesAsBits(Dots::LoadKey(row + lane * kDepths, NumbersFrom(lane * kDepths)));
    };
    LoadTransposed<V>(rows, num_dim_lanes_, block_, kKeyBlock, load);
  }

  // Sets scores[row][j] to q . k_j for the whole block.
  template <typename Rows>
  void ScoreKeys(const AttentionRow*, int64_t begin, int64_t end) {
    constexpr int64_t kGroup = V::kTileVectors * V::kWidth;
    ForEachTile<V::kDotTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      for (int64_t column = 0; column < kKeyBlock; column += kGroup) {
        ScoreTile<tile_rows.kCount, Rows::kHasScales>(row, column);
      }
    });
  }

  // Turns the probabilities of a row, of which those of `visible` keys are not zero, into lanes.
  template <typename Rows>
  void PrepareProbabilities(int64_t row, int64_t visible) {
    if constexpr (Rows::kHasScales) {
      probability_scales_[row] = Dots::template PrepareProbabilities<kKeyBlock>(
          scores[row], value_scales_, visible, probability_lanes_[row]);
    } else {
      Dots::template PrepareProbabilities<kKeyBlock>(scores[row], probability_lanes_[row]);
    }
  }

  template <typename T>
  void LoadValues(const T* const* rows, int64_t count) {
    for (int64_t j = 0; j < count; j += kDepths) {
      for (int64_t d = 0; d < head_dim_; d += kNumbers) {
        typename Dots::Lanes lanes[kDepths];
        Dots::LoadValues(rows + j, d, NumbersFrom(d), lanes);
        uint32_t* target = ValueLanes(j / kDepths) + d;
#pragma GCC unroll 4
        for (int i = 0; i < kDepths; ++i) V::StoreLanes(target + i * V::kWidth, lanes[i]);
      }
    }
    num_value_lanes_ = (count + kDepths - 1) / kDepths;
  }

  // Adds the values of the block to the sums of the rows that see any of it.
  void AddValues(AttentionRow* rows, int64_t begin, int64_t end, int64_t key) {
    ForEachTile<V::kDotTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      constexpr int kRows = tile_rows.kCount;
      if constexpr (Dots::kIsExact) {
        AddLanes<kRows>(rows, row, 0, {ValueLanes(0), num_value_lanes_});
      } else {
        AddSeenValues<kRows>(rows, row, key);
      }
    });
  }

 private:
  static constexpr int64_t kDepths = Dots::kDepths;
  static constexpr int64_t kNumbers = kDepths * V::kWidth;  // of a vector of lanes

  struct LaneRange {
    const uint32_t* values;  // [count][value_stride_]
    int64_t count;
  };

  // Returns how many numbers a vector of lanes has that begins at d.
  int64_t NumbersFrom(int64_t d) const {
    return head_dim_ - d < kNumbers ? head_dim_ - d : kNumbers;
  }
  uint32_t* ValueLanes(int64_t lane) {
    return reinterpret_cast<uint32_t*>(block_) + lane * value_stride_;
  }

  // A function of its own: in a larger one the compiler moves sums to memory and back.
  template <int kRows, bool kHasScales>
  [[gnu::noinline]] void ScoreTile(int64_t row, int64_t column) {
    constexpr int kVectors = V::kTileVectors;
    const auto* columns = reinterpret_cast<const uint32_t*>(block_) + column;
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
        if constexpr (kHasScales) score = V::Multiply(score, V::Load(key_scales_ + first));
        V::Store(scores[row + r] + first, score);
      }
    }
  }

  // Adds first the lanes that all rows see, then for each row those that only it sees. The last may
  // have a value that the row does not see, in whose place zero is added: a product with infinity or
  // NaN would not be zero.
  template <int kRows>
  void AddSeenValues(AttentionRow* rows, int64_t row, int64_t key) {
    int64_t shared = kKeyBlock / kDepths;
    for (int r = 0; r < kRows; ++r) {
      const int64_t whole = rows[row + r].template VisibleKeys<kKeyBlock>(key) / kDepths;
      if (whole < shared) shared = whole;
    }
    AddLanes<kRows>(rows, row, 0, {ValueLanes(0), shared});
    for (int64_t r = row; r < row + kRows; ++r) {
      const int64_t visible = rows[r].template VisibleKeys<kKeyBlock>(key);
      const int64_t whole = visible / kDepths;
      if (whole > shared) AddLanes<1>(rows, r, shared, {ValueLanes(shared), whole - shared});
      if (visible % kDepths == 0) continue;
      alignas(64) uint32_t last[kMaxHeadDim];
      for (int64_t d = 0; d < value_stride_; d += V::kWidth) {
        V::StoreLanes(last + d, V::KeepLowHalves(V::LoadPairs(ValueLanes(whole) + d)));
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
    for (; column < head_dim_; column += V::kWidth) {
      AddColumns<kRows, 1>(rows, row, first, lanes, column);
    }
  }

  template <int kRows, int kVectors>
  [[gnu::noinline]] void AddColumns(AttentionRow* rows, int64_t row, int64_t first, const LaneRange& lanes,
                  int64_t column) {
    const auto count = [&](int v) { return ElementsOf<V>(head_dim_ - column, v); };
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
          tile.sums[r][v] = V::LoadFirst(rows[row + r].out + column + v * V::kWidth, count(v));
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
                                       V::LoadFirst(out, count(v))),
                        count(v));
        } else {
          V::StoreFirst(out, tile.sums[r][v], count(v));
        }
      }
    }
  }

  const int64_t head_dim_;
  const int64_t num_dim_lanes_;
  const int64_t value_stride_;
  int64_t num_value_lanes_ = 0;
  LaneQuery queries_[kMaxRows];
  float probability_scales_[kMaxRows];
  alignas(64) uint32_t query_lanes_[kMaxRows][kMaxHeadDim / 2];
  alignas(64) uint32_t probability_lanes_[kMaxRows][kKeyBlock / kDepths];
  // Keys [num_dim_lanes_][kKeyBlock], then values [kKeyBlock / kDepths][value_stride_].
  alignas(64) float block_[kMaxHeadDim / kDepths * kKeyBlock];
  // Of the keys and the values of the block, zeros where there are no more.
  alignas(64) float key_scales_[kKeyBlock];
  alignas(64) float value_scales_[kKeyBlock];
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_PRODUCTS_H_
