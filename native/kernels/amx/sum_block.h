#ifndef AUTOGLM_KERNELS_AMX_SUM_BLOCK_H_
#define AUTOGLM_KERNELS_AMX_SUM_BLOCK_H_

#include <cstdint>

#include "kernels/amx/tiles.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {
namespace {

// What a step of a product adds: products of pairs of bfloat16, or of uint8 with int8.
template <typename T>
struct PairDots {
  template <int kSums, int kInput, int kWeights>
  static void Add() {
    T::template AddPairDots<kSums, kInput, kWeights>();
  }
};

template <typename T>
struct ByteDots {
  template <int kSums, int kInput, int kWeights>
  static void Add() {
    T::template AddByteDots<kSums, kInput, kWeights>();
  }
};

constexpr int kNumSumTiles = 4;
constexpr int64_t kTileSums = kTileRows * kTileColumns;
constexpr int64_t kBlockSums = kNumSumTiles * kTileSums;
constexpr int64_t kLaneRowBytes = kMaxPanelWidth * 4;

// Four tiles of sums in registers 0 .. 3, as both kinds of blocks have them. In memory they lie one
// after another: [kNumSumTiles][kTileRows][kTileColumns].
template <typename T>
struct SumTiles {
  static void Zero() {
    T::template Zero<0>();
    T::template Zero<1>();
    T::template Zero<2>();
    T::template Zero<3>();
  }

  static void Load(const float* sums) {
    T::template Load<0>(sums, kTileRowBytes);
    T::template Load<1>(sums + kTileSums, kTileRowBytes);
    T::template Load<2>(sums + 2 * kTileSums, kTileRowBytes);
    T::template Load<3>(sums + 3 * kTileSums, kTileRowBytes);
  }

  static void Store(float* sums) {
    T::template Store<0>(sums, kTileRowBytes);
    T::template Store<1>(sums + kTileSums, kTileRowBytes);
    T::template Store<2>(sums + 2 * kTileSums, kTileRowBytes);
    T::template Store<3>(sums + 3 * kTileSums, kTileRowBytes);
  }
};

// Rows and columns of a block within a product.
struct BlockPlace {
  int64_t row;
  int64_t num_rows;
  int64_t column;  // of the panel
};

// Rows of a block's input, of which a step takes 64 bytes each.
struct BlockInput {
  const uint8_t* upper;  // row 0
  const uint8_t* lower;  // row kTileRows
  int64_t row_bytes;     // from row to row
  int64_t step_bytes;    // from step to step
};

// Up to 32 rows and 32 columns, with inputs in registers 4 and 5 and weights in 6 and 7: each load
// feeds two products.
template <typename T>
struct SquareBlock : SumTiles<T> {
  static constexpr int64_t kRows = 2 * kTileRows;
  static constexpr int64_t kColumns = 2 * kTileColumns;

  static int64_t RowOf(int tile) { return tile / 2 * kTileRows; }
  static int64_t ColumnOf(int tile) { return tile % 2 * kTileColumns; }

  // num_rows: more than kTileRows.
  static void Configure(int64_t num_rows) {
    constexpr int kLowerTiles[] = {2, 3, 5};
    TileConfig config;
    for (int tile = 0; tile < kNumTiles; ++tile) config.Set(tile, kTileRows, kTileRowBytes);
    for (const int tile : kLowerTiles) config.Set(tile, num_rows - kTileRows, kTileRowBytes);
    T::Configure(config);
  }

  // lanes: [kTileRows][kMaxPanelWidth] from the block's first column on.
  template <typename Dots>
  static void AddStep(const BlockInput& x, int64_t step, const uint32_t* lanes) {
    const int64_t offset = step * x.step_bytes;
    T::template Load<4>(x.upper + offset, x.row_bytes);
    T::template Load<6>(lanes, kLaneRowBytes);
    T::template Load<7>(lanes + kTileColumns, kLaneRowBytes);
    Dots::template Add<0, 4, 6>();
    T::template Load<5>(x.lower + offset, x.row_bytes);
    Dots::template Add<1, 4, 7>();
    Dots::template Add<2, 5, 6>();
    Dots::template Add<3, 5, 7>();
  }
};

// Up to 16 rows and a whole panel, with inputs in register 4 and weights in 5 .. 7: a step reads the
// panel's memory in one piece.
template <typename T>
struct WideBlock : SumTiles<T> {
  static constexpr int64_t kRows = kTileRows;
  static constexpr int64_t kColumns = kMaxPanelWidth;

  static int64_t RowOf(int) { return 0; }
  static int64_t ColumnOf(int tile) { return tile * kTileColumns; }

  static void Configure(int64_t num_rows) {
    TileConfig config;
    for (int tile = 0; tile < 5; ++tile) config.Set(tile, num_rows, kTileRowBytes);
    for (int tile = 5; tile < kNumTiles; ++tile) config.Set(tile, kTileRows, kTileRowBytes);
    T::Configure(config);
  }

  template <typename Dots>
  static void AddStep(const BlockInput& x, int64_t step, const uint32_t* lanes) {
    T::template Load<4>(x.upper + step * x.step_bytes, x.row_bytes);
    T::template Load<5>(lanes, kLaneRowBytes);
    Dots::template Add<0, 4, 5>();
    T::template Load<6>(lanes + kTileColumns, kLaneRowBytes);
    Dots::template Add<1, 4, 6>();
    T::template Load<7>(lanes + 2 * kTileColumns, kLaneRowBytes);
    Dots::template Add<2, 4, 7>();
    T::template Load<5>(lanes + 3 * kTileColumns, kLaneRowBytes);
    Dots::template Add<3, 4, 5>();
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_SUM_BLOCK_H_
