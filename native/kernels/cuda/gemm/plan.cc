#include "kernels/cuda/gemm/plan.h"

#include <algorithm>

#include "kernels/cuda/runtime.h"

namespace autoglm::cuda {
namespace {

constexpr int64_t kMaxInputBytes = int64_t{64} << 20;
constexpr int64_t kMaxRowsPerTurn = 4096;
constexpr RowCount kRowCounts[] = {RowCount::kFew, RowCount::kSome, RowCount::kMore,
                                   RowCount::kMany};

RowCount CountOf(WeightNumbers numbers, const GemmRows& rows) {
  for (const RowCount count : kRowCounts) {
    if (ConvertsInput(count, numbers) && !rows.are_aligned) continue;
    if (rows.count <= ShapeOf(count, numbers).NumRows()) return count;
  }
  return RowCount::kMany;
}

int64_t NumChunks(const WeightShape& weight) {
  return std::max<int64_t>(DivideUp(weight.depth, kChunkDepth), 1);
}

// Returns the largest number of blocks of y for which it pays to divide the depth, too. Blocks that
// wait for memory share a multiprocessor; blocks of many rows fill one.
int64_t MaxDividedBlocks(RowCount count, int num_multiprocessors) {
  return count == RowCount::kMany ? num_multiprocessors / 2 : 4 * num_multiprocessors;
}

// Returns the largest number of blocks of y whose depth is divided, for any number of rows.
int64_t DividedBlocks(const WeightShape& weight, RowCount count, int num_multiprocessors) {
  const WeightNumbers numbers = NumbersOf(weight.format);
  const int64_t num_column_blocks =
      DivideUp(weight.columns, ShapeOf(count, numbers).NumColumns());
  if (ConvertsInput(count, numbers)) return num_column_blocks;
  const int64_t max_blocks = MaxDividedBlocks(count, num_multiprocessors);
  if (num_column_blocks == 0 || num_column_blocks > max_blocks) return 0;
  return count == RowCount::kMany ? max_blocks : num_column_blocks;
}

}  // namespace

GemmPlan PlanGemm(const WeightShape& weight, const GemmRows& rows, int num_multiprocessors) {
  const WeightNumbers numbers = NumbersOf(weight.format);
  const RowCount count = CountOf(numbers, rows);
  const BlockShape shape = ShapeOf(count, numbers);
  const int64_t num_row_blocks = DivideUp(rows.count, shape.NumRows());
  const int64_t num_column_blocks = DivideUp(weight.columns, shape.NumColumns());
  const bool is_divided =
      ConvertsInput(count, numbers) ||
      num_row_blocks * num_column_blocks <= MaxDividedBlocks(count, num_multiprocessors);
  return {count, static_cast<int>(num_row_blocks), static_cast<int>(num_column_blocks),
          is_divided ? static_cast<int>(NumChunks(weight)) : 1};
}

int64_t InputRowBytes(const WeightShape& weight) {
  const WeightNumbers numbers = NumbersOf(weight.format);
  return DivideUp(weight.depth, UnitDepth(numbers)) * UnitBlocks(numbers) * kInputRowBytes;
}

int64_t RowsPerTurn(const WeightShape& weight) {
  constexpr int64_t kBlockRows = ShapeOf(RowCount::kMany, WeightNumbers::kBfloat16).NumRows();
  const int64_t row_bytes = std::max<int64_t>(InputRowBytes(weight), 1);
  const int64_t rows = kMaxInputBytes / row_bytes / kBlockRows * kBlockRows;
  return std::clamp(rows, kBlockRows, kMaxRowsPerTurn);
}

GemmScratchBytes ScratchOf(const WeightShape& weight, int num_multiprocessors) {
  const int64_t num_rows = RowsPerTurn(weight);
  int64_t partials = 0;
  int64_t arrivals = 0;
  for (const RowCount count : kRowCounts) {
    const BlockShape shape = ShapeOf(count, NumbersOf(weight.format));
    const int64_t block_bytes = int64_t{shape.NumRows()} * shape.NumColumns() * 4;
    const int64_t num_blocks = DividedBlocks(weight, count, num_multiprocessors);
    partials = std::max(partials, num_blocks * NumChunks(weight) * block_bytes);
    arrivals = std::max(arrivals, num_blocks * int64_t{sizeof(unsigned)});
  }
  return {static_cast<size_t>(num_rows * InputRowBytes(weight)),
          static_cast<size_t>(num_rows) * sizeof(float), static_cast<size_t>(partials),
          static_cast<size_t>(arrivals)};
}

}  // namespace autoglm::cuda
