#ifndef AUTOGLM_KERNELS_SIMD_NEXT_WEIGHTS_H_
#define AUTOGLM_KERNELS_SIMD_NEXT_WEIGHTS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/panel_block.h"

namespace autoglm::kernels {
namespace {

// Brings the block that comes next from memory while the rows of a task are multiplied with this
// one. Only the first tile of rows reads weights from memory; the others find them in the second
// level of the caches, and memory would do nothing meanwhile. So each tile asks, at each of its
// steps, for lines of its own part of the next block. The part lies in one piece, because the
// processor follows lines in order: every fourth line, beside those read, took a sixth longer.

// Returns true if tiles of so many rows ask. Rows that are one tile read memory in order all the
// time, which the processor does ahead by itself, and of more rows no tile is smaller.
template <typename V, int kRows>
constexpr bool kAsksForNext = kPanelGroup<V> == 1 && kRows >= 3;

// Where a tile's part of the next block lies, from the line that it asks for next on.
class NextWeights {
 public:
  // For a tile of kRows rows from `row` on that passes a block of so many bytes at `begin`, behind
  // which the next one lies. A step of the tile reads a line of each of a panel's vectors. Where
  // there is nothing to ask for, it asks for a line that is there: that costs less than a branch.
  template <typename V, int kRows>
  static NextWeights Of(const GemmArgs& args, const PanelBlock& block, int64_t row,
                        const void* begin, int64_t bytes) {
    NextWeights next;
    next.line_ = static_cast<const char*>(begin);
    if constexpr (kAsksForNext<V, kRows>) {
      if (!block.has_next || kRows == args.num_rows) return next;
      const int64_t first = row * V::kTileVectors / args.num_rows;
      const int64_t count = (row + kRows) * V::kTileVectors / args.num_rows - first;
      next.line_ += bytes + first * (bytes / V::kTileVectors);
      next.second_ = count > 1 ? kLineBytes : 0;
      next.advance_ = count * kLineBytes;
    }
    return next;
  }

  // At each step of a tile.
  template <typename V, int kRows>
  [[gnu::always_inline]] void Fetch() {
    if constexpr (kAsksForNext<V, kRows>) {
      __builtin_prefetch(line_, 0, 2);
      __builtin_prefetch(line_ + second_, 0, 2);
      line_ += advance_;
    }
  }

 private:
  static constexpr int64_t kLineBytes = 64;

  const char* line_ = nullptr;
  int64_t second_ = 0;  // bytes from a step's line to its second one
  int64_t advance_ = 0;
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_NEXT_WEIGHTS_H_
