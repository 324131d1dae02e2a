#ifndef AUTOGLM_KERNELS_CUDA_GEMM_PLAN_H_
#define AUTOGLM_KERNELS_CUDA_GEMM_PLAN_H_

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/gemm/layout.h"

// How a product on tensor cores is divided among blocks. Bits do not depend on it: every block sums
// its numbers in the order of layout.h, whatever its shape. A faster order that depends on the
// number of rows would be chosen here, too.

namespace autoglm::cuda {

// What a block computes, and with how many warps.
struct BlockShape {
  int column_warps;
  int row_warps;
  int column_tiles;  // of 16 columns, of a warp
  int row_tiles;     // of 8 rows, of a warp
  int num_stages;    // units of depth in shared memory
  int min_blocks;    // of a multiprocessor, for which registers are left

  constexpr int NumColumns() const { return column_warps * column_tiles * kTileColumns; }
  constexpr int NumRows() const { return row_warps * row_tiles * kTileRows; }
};

enum class RowCount : uint8_t { kFew, kSome, kMore, kMany };

// Few rows are multiplied at the speed of memory: small blocks, several of a multiprocessor, keep
// many bytes under way. Many rows are multiplied at the speed of tensor cores: a warp uses each
// factor it loads often. A thread with sums of groups, of a chunk and of all takes fewer rows, and so
// does one of fp8 by fp8, whose products take more registers on 9.0 than on 8.9.
constexpr BlockShape ShapeOf(RowCount count, WeightNumbers numbers) {
  const bool has_few_sums =
      numbers == WeightNumbers::kInt4 || numbers == WeightNumbers::kFp8ByFp8;
  switch (count) {
    case RowCount::kFew:
      return {4, 1, 1, 1, 4, 4};
    case RowCount::kSome:
      return {4, 1, 1, 4, 4, 3};
    case RowCount::kMore:
      if (has_few_sums) return {8, 1, 1, 8, 3, 1};
      if (AreWidenedBytes(numbers)) return {8, 1, 1, 8, 2, 1};
      return {4, 1, 2, 8, 3, 2};
    case RowCount::kMany:
      if (has_few_sums) return {4, 2, 2, 4, 3, 1};
      if (AreWidenedBytes(numbers)) return {4, 2, 2, 4, 2, 1};
      return {4, 2, 2, 8, 3, 1};
  }
  return {};
}

// Returns true if the blocks round the input themselves: the kernel that would do it takes longer
// to start than each block to round what it needs of 8 rows. Each block then computes one chunk,
// and reads four depths at a time.
constexpr bool ConvertsInput(RowCount count, WeightNumbers numbers) {
  return count == RowCount::kFew && !QuantizesInput(numbers);
}

struct GemmPlan {
  RowCount count;
  int num_row_blocks;
  int num_column_blocks;
  int num_depth_blocks;  // 1, or one for each chunk
};

// The input of a product.
struct GemmRows {
  int64_t count;
  bool are_aligned;  // can be read four depths at a time
};

GemmPlan PlanGemm(const WeightShape& weight, const GemmRows& rows, int num_multiprocessors);

// Rows of a product that are rounded and multiplied at a time.
int64_t RowsPerTurn(const WeightShape& weight);

// Memory of a GPU that products of a weight overwrite, for any number of rows.
struct GemmScratchBytes {
  size_t input;
  size_t input_scales;
  size_t partials;
  size_t arrivals;
};

GemmScratchBytes ScratchOf(const WeightShape& weight, int num_multiprocessors);

// Bytes of a row of the rounded input.
int64_t InputRowBytes(const WeightShape& weight);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_PLAN_H_
