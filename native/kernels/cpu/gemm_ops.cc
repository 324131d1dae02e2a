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

// Number of a gemm's input rows that are rounded together before they are multiplied: enough to use
// every weight often, few enough for a small copy.
constexpr int64_t kRowsPerRounding = 1024;

// Makes room for the rounded input of a weight of this depth.
Status GrowGemmInput(CpuContext& cpu, int64_t depth) {
  const size_t bytes = static_cast<size_t>(kRowsPerRounding * depth) * DtypeBytes(Dtype::kBfloat16);
  if (bytes <= cpu.gemm_input.bytes()) return Status();
  Result<DeviceBuffer> buffer = AllocateHostMemory(bytes);
  if (!buffer.ok()) return buffer.status();
  cpu.gemm_input = std::move(buffer.value());
  return Status();
}

size_t PackedBytes(OpsContext& context, const WeightShape& shape) {
  const kernels::GemmKernels& gemm = Cpu(context).kernels().gemm;
  return static_cast<size_t>(DivideUp(shape.columns, gemm.panel_width)) *
         gemm.panel_bytes(shape.format, shape.depth);
}

// Copies output columns begin .. begin + count - 1 of the concatenated sources to `rows`,
// converted.
void CollectRows(const kernels::ConvertKernels& convert, const PackOp& op, int64_t begin,
                 int64_t count, char* rows) {
  const int64_t depth = op.shape.depth;
  const Dtype dtype = UnpackedDtype(op.shape.format);
  int64_t source_begin = 0;
  for (const WeightRows& source : op.sources) {
    const int64_t first = std::max(begin, source_begin);
    const int64_t last = std::min(begin + count, source_begin + source.rows);
    if (first < last) {
      ConvertValues(convert,
                    {.source = static_cast<const char*>(source.data) +
                               (first - source_begin) * depth * DtypeBytes(source.dtype),
                     .source_dtype = source.dtype,
                     .target = rows + (first - begin) * depth * DtypeBytes(dtype),
                     .target_dtype = dtype,
                     .count = (last - first) * depth});
    }
    source_begin += source.rows;
  }
}

// Returns the rows of output columns begin .. begin + count - 1 if one source holds them all in the
// wanted type, aligned to it; null if they must be collected first.
const void* RowsInPlace(const PackOp& op, int64_t begin, int64_t count) {
  const Dtype dtype = UnpackedDtype(op.shape.format);
  const size_t value_bytes = DtypeBytes(dtype);
  int64_t source_begin = 0;
  for (const WeightRows& source : op.sources) {
    const bool has_all = source_begin <= begin && begin + count <= source_begin + source.rows;
    const bool is_aligned = reinterpret_cast<uintptr_t>(source.data) % value_bytes == 0;
    if (has_all && source.dtype == dtype && is_aligned) {
      return static_cast<const char*>(source.data) +
             static_cast<size_t>((begin - source_begin) * op.shape.depth) * value_bytes;
    }
    source_begin += source.rows;
  }
  return nullptr;
}

Status Pack(OpsContext& context, const PackOp& op) {
  CpuContext& cpu = Cpu(context);
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightShape& shape = op.shape;
  int64_t columns = 0;
  for (const WeightRows& source : op.sources) columns += source.rows;
  CHECK(columns == shape.columns);
  const Status room = GrowGemmInput(cpu, shape.depth);
  if (!room.ok()) return room;
  const size_t panel_bytes = gemm.panel_bytes(shape.format, shape.depth);
  const size_t row_bytes =
      static_cast<size_t>(shape.depth) * DtypeBytes(UnpackedDtype(shape.format));

  cpu.threads().ParallelFor(DivideUp(columns, gemm.panel_width), [&](int64_t panel) {
    const int64_t begin = panel * gemm.panel_width;
    const int64_t count = std::min(gemm.panel_width, columns - begin);
    const void* rows = RowsInPlace(op, begin, count);
    std::vector<char> collected;
    if (rows == nullptr) {
      collected.resize(static_cast<size_t>(count) * row_bytes);
      CollectRows(cpu.kernels().convert, op, begin, count, collected.data());
      rows = collected.data();
    }
    gemm.pack_panel({.format = shape.format,
                     .rows = rows,
                     .num_rows = count,
                     .depth = shape.depth,
                     .panel = static_cast<char*>(op.packed) + panel * panel_bytes});
  });
  return Status();
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

// Rows of a product's input in the type that is multiplied: [rows, depth].
struct GemmInput {
  const void* data;
  Dtype dtype;
  int64_t stride;
};

// Computes y = x * transpose(weight) + bias for the rows of y.
void Multiply(CpuContext& cpu, const GemmOp& op, const GemmInput& x, const MatrixView& y) {
  const kernels::GemmKernels& gemm = cpu.kernels().gemm;
  const WeightShape& weight = op.weight.shape;
  const size_t panel_bytes = gemm.panel_bytes(weight.format, weight.depth);
  const int64_t num_panels = DivideUp(weight.columns, gemm.panel_width);
  const int64_t num_row_blocks = DivideUp(y.rows, kRowsPerTask);
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
        {.x_dtype = x.dtype,
         .x = static_cast<const char*>(x.data) + row * x.stride * DtypeBytes(x.dtype),
         .x_stride = x.stride,
         .num_rows = std::min(kRowsPerTask, y.rows - row),
         .depth = weight.depth,
         .format = weight.format,
         .panels = static_cast<const char*>(op.weight.packed) + panel * panel_bytes,
         .bias = op.bias == nullptr ? nullptr : op.bias + column,
         .y = y.data + row * y.stride + column,
         .y_stride = y.stride,
         .num_columns = std::min(panels_per_task * gemm.panel_width, weight.columns - column)});
  });
}

void Gemm(OpsContext& context, const GemmOp& op) {
  CHECK(op.x.columns == op.weight.shape.depth && op.y.columns == op.weight.shape.columns);
  CHECK(op.x.rows == op.y.rows);
  CpuContext& cpu = Cpu(context);
  if (op.activation_dtype != Dtype::kBfloat16) {
    return Multiply(cpu, op, {op.x.data, Dtype::kFloat32, op.x.stride}, op.y);
  }
  for (int64_t begin = 0; begin < op.x.rows; begin += kRowsPerRounding) {
    const int64_t count = std::min(kRowsPerRounding, op.x.rows - begin);
    const void* rounded = RoundInput(cpu, op.x.Rows(begin, count));
    Multiply(cpu, op, {rounded, Dtype::kBfloat16, op.x.columns}, op.y.Rows(begin, count));
  }
}

}  // namespace

void SetGemmOps(Ops& ops) {
  ops.packed_bytes = PackedBytes;
  ops.pack = Pack;
  ops.gemm = Gemm;
}

}  // namespace autoglm::cpu
