#include "kernels/cpu/gemm_tasks.h"

#include <algorithm>

namespace autoglm::cpu {
namespace {

constexpr int64_t kTasksPerThread = 4;
// A weight of at most so many bytes is cheaper to bring to every core, from a cache that they share, than
// the rows that another core has written.
constexpr int64_t kSmallWeightBytes = int64_t{1} << 20;
// Fewer rows would read weights more often than they are worth.
constexpr int64_t kMinRowsOfThread = 16;

}  // namespace

GemmTasks::GemmTasks(CpuContext& cpu, const WeightShape& weight, int64_t num_rows,
                     const kernels::GemmTask& largest)
    : num_rows_(num_rows),
      num_columns_(weight.columns),
      panel_width_(cpu.kernels().gemm.panel_width),
      num_panels_(DivideUp(weight.columns, panel_width_)),
      rows_per_block_(largest.num_rows) {
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const int64_t num_threads = cpu.threads().num_threads();
  const int64_t bytes =
      num_panels_ * static_cast<int64_t>(gemm.panel_bytes(weight.format, weight.depth));
  is_by_rows_ = bytes <= kSmallWeightBytes && num_rows >= kMinRowsOfThread * num_threads &&
                largest.x_layout != kernels::InputLayout::kTiles;
  if (is_by_rows_) {
    // Threads get the same number of blocks, and blocks are of about one size.
    const int64_t rows_of_thread = DivideUp(num_rows, num_threads);
    const int64_t blocks_of_thread = DivideUp(rows_of_thread, largest.num_rows);
    rows_per_block_ = DivideUp(rows_of_thread, blocks_of_thread);
  }
  num_row_blocks_ = DivideUp(num_rows, rows_per_block_);
  // All threads get the same number of tasks, and tasks differ by a panel at most.
  const int64_t wanted_groups = std::max(DivideUp(num_panels_, largest.num_panels),
                                         DivideUp(kTasksPerThread * num_threads, num_row_blocks_));
  const int64_t multiple = is_by_rows_ ? 1 : num_threads;
  num_groups_ = std::min(DivideUp(wanted_groups, multiple) * multiple, num_panels_);
}

GemmPart GemmTasks::PartOf(int64_t task) const {
  const int64_t block = is_by_rows_ ? task / num_groups_ : task % num_row_blocks_;
  const int64_t group = is_by_rows_ ? task % num_groups_ : task / num_row_blocks_;
  const int64_t row = block * rows_per_block_;
  const int64_t column = group * num_panels_ / num_groups_ * panel_width_;
  const int64_t end_column = (group + 1) * num_panels_ / num_groups_ * panel_width_;
  return {.row = row,
          .num_rows = std::min(rows_per_block_, num_rows_ - row),
          .column = column,
          .num_columns = std::min(end_column, num_columns_) - column};
}

void MultiplyPart(const CpuContext& cpu, const PackedMatrix& weight, const GemmInput& x,
                  const GemmPart& part, const GemmOutput& output, int thread) {
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightShape& shape = weight.shape;
  const auto panel_bytes = static_cast<int64_t>(gemm.panel_bytes(shape.format, shape.depth));
  gemm.multiply({.x_dtype = x.dtype,
                 .x = x.data + part.row * x.row_bytes,
                 .x_layout = x.layout,
                 .x_scales = x.scales == nullptr ? nullptr : x.scales + part.row,
                 .x_stride = x.stride,
                 .num_rows = part.num_rows,
                 .depth = shape.depth,
                 .format = shape.format,
                 .panels = static_cast<const char*>(weight.packed) +
                           part.column / gemm.panel_width * panel_bytes,
                 .bias = output.bias == nullptr ? nullptr : output.bias + part.column,
                 .y = output.y,
                 .y_stride = output.stride,
                 .num_columns = part.num_columns,
                 .scratch = GemmScratch(cpu, thread)});
}

}  // namespace autoglm::cpu
