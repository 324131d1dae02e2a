#ifndef AUTOGLM_KERNELS_AMX_TILE_INPUT_H_
#define AUTOGLM_KERNELS_AMX_TILE_INPUT_H_

#include <cstdint>

#include "kernels/amx/sum_block.h"
#include "kernels/amx/tiles.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {
namespace {

// A product walks its depth in steps of 64 bytes of the input's rows, 32 bfloat16 or 64 integers,
// which meet 16 rows of lanes of a panel: the panels of simd/ are tiles already. Steps begin at
// multiples of their depth, so that they do not depend on how the product is divided.
constexpr int64_t NumSteps(int64_t row_bytes) {
  return (row_bytes + kTileRowBytes - 1) / kTileRowBytes;
}

// Steps for which sums stay in registers while other rows wait: the weights of 64 columns then take
// two thirds of the first-level cache, through which the rows pass by.
constexpr int64_t kStepsPerTurn = 8;

// The rows of a task as tiles, in the order in which they are read: [turns][ceil(rows / 16)][steps of
// the turn][16 rows][64 bytes], the last step filled up with zeros.
struct TiledInput {
  const uint8_t* tiles;
  int64_t num_rows;
  int64_t num_steps;

  int64_t RowTiles() const { return (num_rows + kTileRows - 1) / kTileRows; }
  int64_t StepsOfTurn(int64_t turn) const {
    const int64_t rest = num_steps - turn * kStepsPerTurn;
    return rest < kStepsPerTurn ? rest : kStepsPerTurn;
  }
  int64_t TileAt(int64_t row_tile, int64_t step) const {
    const int64_t turn = step / kStepsPerTurn;
    return turn * kStepsPerTurn * RowTiles() + row_tile * StepsOfTurn(turn) + step % kStepsPerTurn;
  }
  // Returns the block whose first row begins a tile, from the first step of a turn on.
  BlockInput BlockAt(int64_t row, int64_t turn) const {
    constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;
    const uint8_t* upper = tiles + TileAt(row / kTileRows, turn * kStepsPerTurn) * kTileBytes;
    return {upper, upper + StepsOfTurn(turn) * kTileBytes, kTileRowBytes, kTileBytes};
  }
};

inline void ArrangeRow(const ArrangeRowArgs& args) {
  const TiledInput input = {nullptr, args.num_rows, NumSteps(args.row_bytes)};
  const char* row = static_cast<const char*>(args.x);
  char* const tiles = static_cast<char*>(args.tiles) + args.row % kTileRows * kTileRowBytes;
  for (int64_t step = 0; step < input.num_steps; ++step) {
    char* const line =
        tiles + input.TileAt(args.row / kTileRows, step) * kTileRows * kTileRowBytes;
    const int64_t rest = args.row_bytes - step * kTileRowBytes;
    if (rest >= kTileRowBytes) {
      __builtin_memcpy(line, row + step * kTileRowBytes, kTileRowBytes);
      continue;
    }
    for (int64_t i = 0; i < kTileRowBytes; ++i) {
      line[i] = i < rest ? row[step * kTileRowBytes + i] : char{0};
    }
  }
}

// A last step that is not whole, filled up with zeros.
struct TailStep {
  alignas(64) uint8_t x[2 * kTileRows][kTileRowBytes];
  alignas(64) uint32_t lanes[kTileRows][kMaxPanelWidth];

  void CopyInput(const uint8_t* rows, int64_t stride, int64_t num_rows, int64_t num_bytes) {
    for (int64_t row = 0; row < num_rows; ++row) {
      for (int64_t i = 0; i < kTileRowBytes; ++i) {
        x[row][i] = i < num_bytes ? rows[row * stride + i] : uint8_t{0};
      }
    }
  }

  void CopyLanes(const uint32_t* panel_lanes, int64_t num_lanes) {
    for (int64_t lane = 0; lane < kTileRows; ++lane) {
      for (int64_t n = 0; n < kMaxPanelWidth; ++n) {
        lanes[lane][n] = lane < num_lanes ? panel_lanes[lane * kMaxPanelWidth + n] : 0u;
      }
    }
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AMX_TILE_INPUT_H_
