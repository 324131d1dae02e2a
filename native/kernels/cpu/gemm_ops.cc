#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/gemm_input.h"
#include "kernels/packing/panel_rows.h"

namespace autoglm::cpu {
namespace {

constexpr int64_t kTasksPerThread = 4;
// A weight of at most so many bytes is cheaper to bring to every core, from a cache that they share, than
// the rows that another core has written.
constexpr int64_t kSmallWeightBytes = int64_t{1} << 20;
// Fewer rows would read weights more often than they are worth.
constexpr int64_t kMinRowsOfThread = 16;

// Makes room for the rounded input of a weight.
Status PrepareGemm(OpsContext& context, const WeightShape& shape) {
  return GrowGemmInput(Cpu(context), shape);
}

size_t PackedBytes(OpsContext& context, const WeightShape& shape) {
  const kernels::GemmKernels& gemm = Cpu(context).kernels().gemm;
  return static_cast<size_t>(DivideUp(shape.columns, gemm.panel_width)) *
         gemm.panel_bytes(shape.format, shape.depth);
}

// Levels with vectors differ in the width of a panel alone.
std::string PackedLayout(OpsContext& context) {
  const kernels::GemmKernels& gemm = Cpu(context).kernels().gemm;
  const bool is_reference = std::string_view(gemm.isa) == "reference";
  return std::string(is_reference ? "reference" : "vector") + " panels of " +
         std::to_string(gemm.panel_width) + " columns, version " +
         std::to_string(kernels::kPanelLayoutVersion);
}

Status Pack(OpsContext& context, const PackOp& op) {
  CpuContext& cpu = Cpu(context);
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightShape& shape = op.shape;
  int64_t columns = 0;
  for (const WeightRows& source : op.sources) columns += source.rows;
  CHECK(columns == shape.columns);
  const size_t panel_bytes = gemm.panel_bytes(shape.format, shape.depth);
  std::atomic<bool> are_finite = true;
  cpu.threads().ParallelFor(DivideUp(columns, gemm.panel_width), [&](int64_t panel) {
    const int64_t begin = panel * gemm.panel_width;
    const int64_t count = std::min(gemm.panel_width, columns - begin);
    const PanelRows rows = CollectPanelRows(cpu.kernels().convert, op, begin, count);
    if (!rows.are_finite) are_finite = false;
    gemm.pack_panel({.format = shape.format,
                     .rows = rows.rows,
                     .num_rows = count,
                     .depth = shape.depth,
                     .panel = static_cast<char*>(op.packed) + panel * panel_bytes,
                     .scales = rows.scales,
                     .zero_points = rows.zero_points});
    DropPackedRows(op, begin, count);
  });
  return are_finite ? Status() : WeightNotFinite();
}

// How a product is divided into tasks: blocks of rows times groups of panels.
struct GemmDivision {
  int64_t rows_per_block;
  int64_t num_groups;
  // Consecutive tasks share their rows, and each thread begins with rows of its own; otherwise they share
  // their panels, so that a panel is read from memory once.
  bool is_by_rows;
};

GemmDivision DivideGemm(CpuContext& cpu, const WeightShape& weight, int64_t num_rows,
                        const kernels::GemmTask& largest) {
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const int64_t num_threads = cpu.threads().num_threads();
  const int64_t num_panels = DivideUp(weight.columns, gemm.panel_width);
  const int64_t bytes =
      num_panels * static_cast<int64_t>(gemm.panel_bytes(weight.format, weight.depth));
  GemmDivision division = {.rows_per_block = largest.num_rows,
                           .num_groups = 0,
                           .is_by_rows = bytes <= kSmallWeightBytes &&
                                         num_rows >= kMinRowsOfThread * num_threads &&
                                         largest.x_layout != kernels::InputLayout::kTiles};
  if (division.is_by_rows) {
    // Threads get the same number of blocks, and blocks are of about one size.
    const int64_t rows_of_thread = DivideUp(num_rows, num_threads);
    const int64_t blocks_of_thread = DivideUp(rows_of_thread, largest.num_rows);
    division.rows_per_block = DivideUp(rows_of_thread, blocks_of_thread);
  }
  const int64_t num_row_blocks = DivideUp(num_rows, division.rows_per_block);
  // All threads get the same number of tasks, and tasks differ by a panel at most.
  const int64_t wanted_groups = std::max(DivideUp(num_panels, largest.num_panels),
                                         DivideUp(kTasksPerThread * num_threads, num_row_blocks));
  const int64_t multiple = division.is_by_rows ? 1 : num_threads;
  division.num_groups = std::min(DivideUp(wanted_groups, multiple) * multiple, num_panels);
  return division;
}

// Computes y = x * transpose(weight) + bias for the rows of y.
void Multiply(CpuContext& cpu, const GemmOp& op, const kernels::GemmTask& largest,
              const GemmInput& x, const MatrixView& y) {
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightShape& weight = op.weight.shape;
  const size_t panel_bytes = gemm.panel_bytes(weight.format, weight.depth);
  const int64_t num_panels = DivideUp(weight.columns, gemm.panel_width);
  const GemmDivision division = DivideGemm(cpu, weight, y.rows, largest);
  const int64_t num_row_blocks = DivideUp(y.rows, division.rows_per_block);
  const int64_t num_groups = division.num_groups;

  cpu.threads().ParallelFor(num_groups * num_row_blocks, [&](int64_t task, int thread) {
    const int64_t block = division.is_by_rows ? task / num_groups : task % num_row_blocks;
    const int64_t group = division.is_by_rows ? task % num_groups : task / num_row_blocks;
    const int64_t row = block * division.rows_per_block;
    const int64_t panel = group * num_panels / num_groups;
    const int64_t column = panel * gemm.panel_width;
    const int64_t end_column = (group + 1) * num_panels / num_groups * gemm.panel_width;
    gemm.multiply({.x_dtype = x.dtype,
                   .x = x.data + row * x.row_bytes,
                   .x_layout = x.layout,
                   .x_scales = x.scales == nullptr ? nullptr : x.scales + row,
                   .x_stride = x.stride,
                   .num_rows = std::min(division.rows_per_block, y.rows - row),
                   .depth = weight.depth,
                   .format = weight.format,
                   .panels = static_cast<const char*>(op.weight.packed) + panel * panel_bytes,
                   .bias = op.bias == nullptr ? nullptr : op.bias + column,
                   .y = y.data + row * y.stride + column,
                   .y_stride = y.stride,
                   .num_columns = std::min(end_column, weight.columns) - column,
                   .scratch = GemmScratch(cpu, thread)});
  });
}

void Gemm(OpsContext& context, const GemmOp& op) {
  CHECK(op.x.columns == op.weight.shape.depth && op.y.columns == op.weight.shape.columns);
  CHECK(op.x.rows == op.y.rows);
  CpuContext& cpu = Cpu(context);
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightFormat& format = op.weight.shape.format;
  const bool rounds = op.activation_dtype == Dtype::kBfloat16 || format.quantizes_input;
  for (int64_t begin = 0; begin < op.x.rows; begin += kRowsPerRounding) {
    const int64_t count = std::min(kRowsPerRounding, op.x.rows - begin);
    const MatrixView x = op.x.Rows(begin, count);
    const kernels::GemmTask task = gemm.largest_task(
        format, rounds ? Dtype::kBfloat16 : Dtype::kFloat32, op.x.columns, count);
    const GemmInput input = rounds ? RoundGemmInput(cpu, format, x, task) : PlainGemmInput(x);
    Multiply(cpu, op, task, input, op.y.Rows(begin, count));
  }
}

}  // namespace

void SetGemmOps(Ops& ops) {
  ops.packed_bytes = PackedBytes;
  ops.packed_layout = PackedLayout;
  ops.fp8_products = [](OpsContext&) { return Fp8Products::kNone; };
  ops.prepare_gemm = PrepareGemm;
  ops.pack = Pack;
  ops.gemm = Gemm;
}

}  // namespace autoglm::cpu
