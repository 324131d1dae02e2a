#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/gemm_input.h"
#include "kernels/cpu/gemm_tasks.h"
#include "kernels/packing/panel_rows.h"

namespace autoglm::cpu {
namespace {

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

// Returns true if a product takes its input rounded.
bool RoundsInput(const WeightFormat& format, Dtype activation_dtype) {
  return activation_dtype == Dtype::kBfloat16 || format.quantizes_input;
}

// Returns how a product takes so many rows.
kernels::GemmTask TaskOf(const CpuContext& cpu, const WeightShape& weight, Dtype activation_dtype,
                         int64_t num_rows) {
  const bool rounds = RoundsInput(weight.format, activation_dtype);
  return cpu.kernels().gemm.largest_task(weight.format,
                                         rounds ? Dtype::kBfloat16 : Dtype::kFloat32, weight.depth,
                                         num_rows);
}

// Rounds rows as their product takes them.
GemmInput InputOf(CpuContext& cpu, const WeightFormat& format, Dtype activation_dtype,
                  const MatrixView& x, const kernels::GemmTask& task) {
  return RoundsInput(format, activation_dtype) ? RoundGemmInput(cpu, format, x, task)
                                               : PlainGemmInput(x);
}

// Computes y = x * transpose(weight) + bias for the rows of y.
void Multiply(CpuContext& cpu, const PackedMatrix& weight, const float* bias,
              const kernels::GemmTask& largest, const GemmInput& x, const MatrixView& y) {
  const GemmTasks tasks(cpu, weight.shape, y.rows, largest);
  cpu.threads().ParallelFor(tasks.num_tasks(), [&](int64_t task, int thread) {
    const GemmPart part = tasks.PartOf(task);
    MultiplyPart(cpu, weight, x, part,
                 {.y = y.data + part.row * y.stride + part.column, .stride = y.stride, .bias = bias},
                 thread);
  });
}

void Gemm(OpsContext& context, const GemmOp& op) {
  CHECK(op.x.columns == op.weight.shape.depth && op.y.columns == op.weight.shape.columns);
  CHECK(op.x.rows == op.y.rows);
  CpuContext& cpu = Cpu(context);
  const WeightShape& shape = op.weight.shape;
  for (int64_t begin = 0; begin < op.x.rows; begin += kRowsPerRounding) {
    const int64_t count = std::min(kRowsPerRounding, op.x.rows - begin);
    const kernels::GemmTask task = TaskOf(cpu, shape, op.activation_dtype, count);
    const GemmInput input =
        InputOf(cpu, shape.format, op.activation_dtype, op.x.Rows(begin, count), task);
    Multiply(cpu, op.weight, op.bias, task, input, op.y.Rows(begin, count));
  }
}

// Sums of a task of GatedMlp, on its stack: gates and ups of its rows, side by side.
constexpr int64_t kGatedTaskValues = 16384;

// Returns true if gates are to be applied part by part: there are more rows than a task takes, as caches keep
// what fewer write, parts of gate and up are whole panels, and their sums are plain rows.
bool GatesParts(const CpuContext& cpu, const MatrixView& gated, const kernels::GemmTask& task) {
  return gated.rows > task.num_rows && gated.columns % cpu.kernels().gemm.panel_width == 0 &&
         task.x_layout != kernels::InputLayout::kTiles &&
         2 * task.num_rows * cpu.kernels().gemm.panel_width <= kGatedTaskValues;
}

// Writes silu(gate) * up as the product after it takes its rows, which are in the place of `gated`: rounded if
// that takes each number by itself, otherwise as float32.
void GateParts(CpuContext& cpu, const GatedMlpOp& op, const kernels::GemmTask& largest,
               const GemmInput& x, const MatrixView& gated, const GemmInput& next) {
  const kernels::CpuKernels& kernels = cpu.kernels();
  const int64_t panel_values = 2 * largest.num_rows * kernels.gemm.panel_width;
  kernels::GemmTask part_of = largest;
  part_of.num_panels = std::min(largest.num_panels, kGatedTaskValues / panel_values);
  WeightShape half = op.gate_up.shape;
  half.columns = gated.columns;
  const GemmTasks tasks(cpu, half, gated.rows, part_of);
  cpu.threads().ParallelFor(tasks.num_tasks(), [&](int64_t task, int thread) {
    alignas(64) float sums[kGatedTaskValues];
    const GemmPart gate = tasks.PartOf(task);
    GemmPart up = gate;
    up.column += gated.columns;
    const int64_t width = gate.num_columns;
    MultiplyPart(cpu, op.gate_up, x, gate,
                 {.y = sums, .stride = 2 * width, .bias = op.gate_up_bias}, thread);
    MultiplyPart(cpu, op.gate_up, x, up,
                 {.y = sums + width, .stride = 2 * width, .bias = op.gate_up_bias}, thread);
    const bool is_plain = next.dtype == Dtype::kFloat32;
    float* const y = gated.data + gate.row * gated.stride + gate.column;
    kernels.activation.silu_mul({.x = sums,
                                 .x_stride = 2 * width,
                                 .num_rows = gate.num_rows,
                                 .width = width,
                                 .y = is_plain ? y : sums,
                                 .y_stride = is_plain ? gated.stride : 2 * width});
    if (is_plain) return;
    for (int64_t row = 0; row < gate.num_rows; ++row) {
      const float* values = sums + row * 2 * width;
      if (next.layout == kernels::InputLayout::kFloatRows) {
        kernels.convert.round_to_bfloat16(values, y + row * gated.stride, width);
      } else {
        auto* const rows = reinterpret_cast<uint16_t*>(gated.data);
        kernels.convert.float32_to_bfloat16(
            values, rows + (gate.row + row) * next.stride + gate.column, width);
      }
    }
  });
}

// Returns how GateParts leaves rows for their product.
GemmInput GatedInput(const WeightFormat& format, Dtype activation_dtype, const MatrixView& gated,
                     const kernels::GemmTask& task) {
  GemmInput input = PlainGemmInput(gated);
  const bool is_float = task.x_layout == kernels::InputLayout::kFloatRows;
  const bool is_each_rounded = activation_dtype == Dtype::kBfloat16 && !format.quantizes_input &&
                               (is_float || task.x_layout == kernels::InputLayout::kRows);
  if (!is_each_rounded) return input;
  input.dtype = Dtype::kBfloat16;
  input.layout = task.x_layout;
  if (!is_float) input.stride *= 2;
  return input;
}

// Computes y = down(gated) of rows that lie as `input` says.
void MultiplyDown(CpuContext& cpu, const GatedMlpOp& op, GemmInput input, const MatrixView& gated,
                  const kernels::GemmTask& task, const MatrixView& y) {
  if (input.dtype == Dtype::kFloat32) {
    input = InputOf(cpu, op.down.shape.format, op.activation_dtype, gated, task);
  }
  Multiply(cpu, op.down, op.down_bias, task, input, y);
}

void GatedMlp(OpsContext& context, const GatedMlpOp& op) {
  CHECK(op.x.columns == op.gate_up.shape.depth && op.y.columns == op.down.shape.columns);
  CHECK(op.gate_up.shape.columns == 2 * op.gated.columns && op.gated.columns == op.down.shape.depth);
  CHECK(op.x.rows == op.y.rows && op.x.rows == op.gated.rows);
  CpuContext& cpu = Cpu(context);
  for (int64_t begin = 0; begin < op.x.rows; begin += kRowsPerRounding) {
    const int64_t count = std::min(kRowsPerRounding, op.x.rows - begin);
    const MatrixView x = op.x.Rows(begin, count);
    const MatrixView gated = op.gated.Rows(begin, count);
    const kernels::GemmTask first = TaskOf(cpu, op.gate_up.shape, op.activation_dtype, count);
    const kernels::GemmTask second = TaskOf(cpu, op.down.shape, op.activation_dtype, count);
    const GemmInput input =
        InputOf(cpu, op.gate_up.shape.format, op.activation_dtype, x, first);
    GemmInput next = PlainGemmInput(gated);
    if (GatesParts(cpu, gated, first)) {
      next = GatedInput(op.down.shape.format, op.activation_dtype, gated, second);
      GateParts(cpu, op, first, input, gated, next);
    } else {
      const MatrixView gate_up = op.gate_up_rows.Rows(begin, count);
      Multiply(cpu, op.gate_up, op.gate_up_bias, first, input, gate_up);
      SiluMul(context, {.x = gate_up, .y = gated});
    }
    MultiplyDown(cpu, op, next, gated, second, op.y.Rows(begin, count));
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
  ops.gated_mlp = GatedMlp;
}

}  // namespace autoglm::cpu
