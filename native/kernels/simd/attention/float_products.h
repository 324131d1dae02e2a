#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_FLOAT_PRODUCTS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_FLOAT_PRODUCTS_H_

#include "kernels/kernels.h"
#include "kernels/simd/attention/key_rows.h"
#include "kernels/simd/attention/softmax_rows.h"
#include "kernels/simd/exponential.h"
#include "kernels/simd/tile.h"

namespace autoglm::kernels {
namespace {

// Heads up to this width have blocks of more keys: a softmax takes about as long for 64 as for 32.
constexpr int64_t kNarrowHeadDim = 128;

// Both products of attention in float32: a block of keys is packed transposed, and its values as they
// are, so that both are the tiles of a GEMM.
template <typename V, int64_t kMaxRows, int64_t kMaxDimension>
class FloatProducts {
 public:
  static constexpr int64_t kMaxDim = kMaxDimension;
  static constexpr int64_t kKeyBlock = kMaxDim <= kNarrowHeadDim ? 64 : 32;
  static constexpr int kPowerDegree = kExactPower;
  static constexpr bool kMayTakeRows = false;

  alignas(64) float scores[kMaxRows][kKeyBlock];  // of a block, then probabilities

  explicit FloatProducts(int64_t head_dim)
      : head_dim_(head_dim), value_stride_((head_dim + V::kWidth - 1) / V::kWidth * V::kWidth) {}

  // Of a packed block: keys [head_dim][kKeyBlock], then values [kKeyBlock][value_stride].
  int64_t BlockBytes() const {
    return kKeyBlock * (head_dim_ + value_stride_) * int64_t{sizeof(float)};
  }

  void PrepareQueries(const AttentionRow*, int64_t) {}

  template <typename Rows>
  void PackScales(const Rows&, const Rows&, int64_t, int64_t, float*) const {
    static_assert(!Rows::kHasScales);
  }

  template <typename T>
  void PackKeys(const T* const* rows, int64_t count, float* block) const {
    const auto load = [&](const T* row, int64_t d) {
      return V::LoadFirst(row + d, ElementsOf<V>(head_dim_ - d, 0));
    };
    LoadTransposed<V>(rows, count, head_dim_, block, kKeyBlock, load);
  }

  // Sets scores[row][j] to q . k_j for the `count` keys of a block.
  template <typename Rows>
  void ScoreKeys(const AttentionRow* rows, int64_t begin, int64_t end, const float* block,
                 int64_t count) {
    ForEachTile<V::kTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      for (int64_t column = 0; column < count; column += 2 * V::kWidth) {
        ScoreColumns<tile_rows.kCount>(rows, row, block, column);
      }
    });
  }

  template <typename Rows>
  void PrepareProbabilities(int64_t row, int64_t, const typename V::Float* probabilities,
                            const float*) {
#pragma GCC unroll 8
    for (int v = 0; v < kKeyBlock / V::kWidth; ++v) {
      V::Store(scores[row] + v * V::kWidth, probabilities[v]);
    }
  }

  template <typename T>
  void PackValues(const T* const* rows, int64_t count, float* block) const {
    LoadRows<V>(rows, count, head_dim_, block + kKeyBlock * head_dim_, value_stride_);
  }

  // Adds the values of a tile's rows: first the keys that all rows see, then for each row the keys
  // that only it sees. So no value is multiplied by the zero of a row that must not see it.
  void AddValues(AttentionRow* rows, int64_t begin, int64_t end, const float* block, int64_t key,
                 int64_t) {
    const float* values = block + kKeyBlock * head_dim_;
    ForEachTile<V::kTileRows>(begin, end, [&](auto tile_rows, int64_t row) {
      constexpr int kRows = tile_rows.kCount;
      int64_t shared = kKeyBlock;
      for (int r = 0; r < kRows; ++r) {
        const int64_t visible = rows[row + r].template VisibleKeys<kKeyBlock>(key);
        if (visible < shared) shared = visible;
      }
      AddValueRows<kRows>(rows, row, values, {0, shared});
      for (int64_t r = row; r < row + kRows; ++r) {
        const int64_t visible = rows[r].template VisibleKeys<kKeyBlock>(key);
        if (visible > shared) AddValueRows<1>(rows, r, values, {shared, visible});
      }
    });
  }

 private:
  static constexpr int64_t kGroup = V::kTileVectors * V::kWidth;

  struct KeyRange {
    int64_t begin;
    int64_t end;
  };

  // Sets the scores of two vectors of keys.
  template <int kRows>
  [[gnu::noinline]] void ScoreColumns(const AttentionRow* rows, int64_t row, const float* block,
                                      int64_t column) {
    const float* q[kRows];
    for (int r = 0; r < kRows; ++r) q[r] = rows[row + r].q;
    Tile<V, kRows, 2> tile;
    tile.Clear();
    tile.Accumulate(q, head_dim_, Float32Weights<V>{block + column, kKeyBlock});
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < 2; ++v) {
        V::Store(scores[row + r] + column + v * V::kWidth, tile.sums[r][v]);
      }
    }
  }

  // Adds keys of the block, with columns in groups of vectors that fill the registers.
  template <int kRows>
  void AddValueRows(AttentionRow* rows, int64_t row, const float* values, KeyRange keys) {
    int64_t column = 0;
    for (; column + kGroup <= head_dim_; column += kGroup) {
      AddColumns<kRows, V::kTileVectors>(rows, row, values + column, keys, column);
    }
    for (; column < head_dim_; column += V::kWidth) {
      AddColumns<kRows, 1>(rows, row, values + column, keys, column);
    }
  }

  template <int kRows, int kVectors>
  [[gnu::noinline]] void AddColumns(AttentionRow* rows, int64_t row, const float* values,
                                    KeyRange keys, int64_t column) {
    const float* probabilities[kRows];
    for (int r = 0; r < kRows; ++r) probabilities[r] = scores[row + r] + keys.begin;
    Tile<V, kRows, kVectors> tile;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        tile.sums[r][v] = V::LoadFirst(rows[row + r].out + column + v * V::kWidth,
                                       ElementsOf<V>(head_dim_ - column, v));
      }
    }
    tile.Accumulate(probabilities, keys.end - keys.begin,
                    Float32Weights<V>{values + keys.begin * value_stride_, value_stride_});
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        V::StoreFirst(rows[row + r].out + column + v * V::kWidth, tile.sums[r][v],
                      ElementsOf<V>(head_dim_ - column, v));
      }
    }
  }

  const int64_t head_dim_;
  const int64_t value_stride_;
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_FLOAT_PRODUCTS_H_
