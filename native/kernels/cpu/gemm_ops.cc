#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

// A task multiplies a block of rows with a block of panels that stays in a core's second-level
// cache while the rows pass by.
constexpr size_t kPanelBytesPerTask = size_t{256} << 10;
constexpr int64_t kRowsPerTask = 64;
constexpr int64_t kTasksPerThread = 4;

Status ReserveGemmInput(OpsContext& context, int64_t max_values) {
  const size_t bytes = static_cast<size_t>(max_values) * DtypeBytes(Dtype::kBfloat16);
  if (bytes <= Cpu(context).gemm_input.bytes()) return Status();
  Result<DeviceBuffer> buffer = AllocateHostMemory(bytes);
  if (!buffer.ok()) return buffer.status();
  Cpu(context).gemm_input = std::move(buffer.value());
  return Status();
}

size_t PackedBytes(OpsContext& context, const PackedMatrix& shape) {
  const kernels::GemmKernels& gemm = Cpu(context).kernels().gemm;
  return static_cast<size_t>(DivideUp(shape.columns, gemm.panel_width)) *
         gemm.panel_bytes(shape.dtype, shape.depth);
}

// Copies output columns begin .. begin + count - 1 of the concatenated sources to `rows`,
// converted.
void CollectRows(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                 int64_t count, char* rows) {
  int64_t source_begin = 0;
  for (const WeightRows& source : op.sources) {
    const int64_t first = std::max(begin, source_begin);
    const int64_t last = std::min(begin + count, source_begin + source.rows);
    if (first < last) {
      ConvertValues(convert,
                    {.source = static_cast<const char*>(source.data) +
                               (first - source_begin) * op.depth * DtypeBytes(source.dtype),
                     .source_dtype = source.dtype,
                     .target = rows + (first - begin) * op.depth * DtypeBytes(op.dtype),
                     .target_dtype = op.dtype,
                     .count = (last - first) * op.depth});
    }
    source_begin += source.rows;
  }
}

// The rows of output columns begin .. begin + count - 1 where one source holds them all in the
// wanted type, aligned to it; null where they must be collected first.
const void* RowsInPlace(const PackOp& op, int64_t begin, int64_t count) {
  int64_t source_begin = 0;
  for (const WeightRows& source : op.sources) {
    const bool has_all = source_begin <= begin && begin + count <= source_begin + source.rows;
    const size_t value_bytes = DtypeBytes(op.dtype);
    const bool is_aligned = reinterpret_cast<uintptr_t>(source.data) % value_bytes == 0;
    if (has_all && source.dtype == op.dtype && is_aligned) {
      return static_cast<const char*>(source.data) +
             static_cast<size_t>((begin - source_begin) * op.depth) * value_bytes;
    }
    source_begin += source.rows;
  }
  return nullptr;
}

void Pack(OpsContext& context, const PackOp& op) {
  CpuContext& cpu = Cpu(context);
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  int64_t columns = 0;
  for (const WeightRows& source : op.sources) columns += source.rows;
  const size_t panel_bytes = gemm.panel_bytes(op.dtype, op.depth);

  cpu.threads().ParallelFor(DivideUp(columns, gemm.panel_width), [&](int64_t panel) {
    const int64_t begin = panel * gemm.panel_width;
    const int64_t count = std::min(gemm.panel_width, columns - begin);
    const void* rows = RowsInPlace(op, begin, count);
    std::vector<char> collected;
    if (rows == nullptr) {
      collected.resize(static_cast<size_t>(count * op.depth) * DtypeBytes(op.dtype));
      CollectRows(cpu.kernels().convert, op, begin, count, collected.data());
      rows = collected.data();
    }
    gemm.pack_panel({.dtype = op.dtype,
                     .rows = rows,
                     .num_rows = count,
                     .depth = op.depth,
                     .panel = static_cast<char*>(op.panels) + panel * panel_bytes});
  });
}

// Rounds the rows of x to bfloat16 in the context's buffer: [x.rows, x.columns], dense.
const void* RoundInput(CpuContext& cpu, const MatrixView& x) {
  CHECK(static_cast<size_t>(x.rows * x.columns) * DtypeBytes(Dtype::kBfloat16) <=
        cpu.gemm_input.bytes());
  uint16_t* rounded = cpu.gemm_input.as<uint16_t>();
  cpu.ForRows(x.rows, x.columns, [&](int64_t begin, int64_t count) {
    for (int64_t row = begin; row < begin + count; ++row) {
      cpu.kernels().convert.float32_to_bfloat16(x.data + row * x.stride, rounded + row * x.columns,
                                                x.columns);
    }
  });
  return rounded;
}

void Gemm(OpsContext& context, const GemmOp& op) {
  CHECK(op.x.columns == op.weight.depth && op.y.columns == op.weight.columns);
  CHECK(op.x.rows == op.y.rows);
  if (op.x.rows == 0) return;
  CpuContext& cpu = Cpu(context);
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const bool rounds = op.activation_dtype == Dtype::kBfloat16;
  const char* x = static_cast<const char*>(rounds ? RoundInput(cpu, op.x) : op.x.data);
  const int64_t x_stride = rounds ? op.x.columns : op.x.stride;
  const Dtype x_dtype = rounds ? Dtype::kBfloat16 : Dtype::kFloat32;

  const size_t panel_bytes = gemm.panel_bytes(op.weight.dtype, op.weight.depth);
  const int64_t num_panels = DivideUp(op.weight.columns, gemm.panel_width);
  const int64_t num_row_blocks = DivideUp(op.x.rows, kRowsPerTask);
  const int64_t wanted_tasks = kTasksPerThread * cpu.threads().num_threads();
  const int64_t even_panels = std::max<int64_t>(num_panels * num_row_blocks / wanted_tasks, 1);
  const int64_t cached_panels = std::max<int64_t>(kPanelBytesPerTask / panel_bytes, 1);
  const int64_t panels_per_task = std::min(even_panels, cached_panels);

  // Consecutive tasks share their panels, so that a panel is read from memory once.
  const int64_t num_tasks = DivideUp(num_panels, panels_per_task) * num_row_blocks;
  cpu.threads().ParallelFor(num_tasks, [&](int64_t task) {
    const int64_t row = task % num_row_blocks * kRowsPerTask;
    const int64_t panel = task / num_row_blocks * panels_per_task;
    const int64_t column = panel * gemm.panel_width;
    gemm.multiply(
        {.x_dtype = x_dtype,
         .x = x + row * x_stride * DtypeBytes(x_dtype),
         .x_stride = x_stride,
         .num_rows = std::min(kRowsPerTask, op.x.rows - row),
         .depth = op.weight.depth,
         .weight_dtype = op.weight.dtype,
         .panels = static_cast<const char*>(op.weight.panels) + panel * panel_bytes,
         .bias = op.bias == nullptr ? nullptr : op.bias + column,
         .y = op.y.data + row * op.y.stride + column,
         .y_stride = op.y.stride,
         .num_columns = std::min(panels_per_task * gemm.panel_width, op.weight.columns - column)});
  });
}

}  // namespace

void SetGemmOps(Ops& ops) {
  ops.reserve_gemm_input = ReserveGemmInput;
  ops.packed_bytes = PackedBytes;
  ops.pack = Pack;
  ops.gemm = Gemm;
}

}  // namespace autoglm::cpu
