#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

using kernels::ActivationKernels;
using kernels::NormKernels;

void CheckSameShape(const MatrixView& x, const MatrixView& y) {
  CHECK(x.rows == y.rows && x.columns == y.columns);
}

void CheckDense(const MatrixView& x) { CHECK(x.stride == x.columns); }

template <void (*NormKernels::*kKernel)(const kernels::NormArgs&)>
void Norm(OpsContext& context, const NormOp& op) {
  CheckSameShape(op.x, op.y);
  CpuContext& cpu = Cpu(context);
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    (cpu.kernels().norm.*kKernel)({.x = op.x.data + begin * op.x.stride,
                                   .x_stride = op.x.stride,
                                   .num_rows = count,
                                   .num_columns = op.x.columns,
                                   .weight = op.weight,
                                   .bias = op.bias,
                                   .epsilon = op.epsilon,
                                   .y = op.y.data + begin * op.y.stride,
                                   .y_stride = op.y.stride});
  });
}

kernels::ElementwiseKernel KernelOf(const ActivationKernels& kernels, Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return kernels.silu;
    case Activation::kGeluErf:
      return kernels.gelu_erf;
    case Activation::kRelu:
      return kernels.relu;
    case Activation::kSigmoid:
      return kernels.sigmoid;
  }
  return nullptr;
}

void Activate(OpsContext& context, const ActivationOp& op) {
  CheckSameShape(op.x, op.y);
  CheckDense(op.x);
  CheckDense(op.y);
  CpuContext& cpu = Cpu(context);
  const kernels::ElementwiseKernel kernel = KernelOf(cpu.kernels().activation, op.activation);
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    kernel(op.x.data + begin * op.x.columns, op.y.data + begin * op.x.columns,
           count * op.x.columns);
  });
}

template <void (*ActivationKernels::*kKernel)(const kernels::GatedArgs&)>
void Gated(OpsContext& context, const GatedOp& op) {
  CHECK(op.x.rows == op.y.rows && op.x.columns == 2 * op.y.columns);
  CpuContext& cpu = Cpu(context);
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    (cpu.kernels().activation.*kKernel)({.x = op.x.data + begin * op.x.stride,
                                         .x_stride = op.x.stride,
                                         .num_rows = count,
                                         .width = op.y.columns,
                                         .y = op.y.data + begin * op.y.stride,
                                         .y_stride = op.y.stride});
  });
}

void AddScaled(OpsContext& context, const AddScaledOp& op) {
  CheckSameShape(op.x, op.y);
  CheckDense(op.x);
  CheckDense(op.y);
  CpuContext& cpu = Cpu(context);
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    cpu.kernels().activation.add_scaled({.x = op.x.data + begin * op.x.columns,
                                         .scale = op.scale,
                                         .y = op.y.data + begin * op.x.columns,
                                         .count = count * op.x.columns});
  });
}

void GateRows(OpsContext& context, const GateRowsOp& op) {
  CheckSameShape(op.x, op.y);
  CpuContext& cpu = Cpu(context);
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    for (int64_t row = begin; row < begin + count; ++row) {
      float gate = 0.0f;
      cpu.kernels().activation.sigmoid(op.gate + row, &gate, 1);
      const float* x = op.x.data + row * op.x.stride;
      float* y = op.y.data + row * op.y.stride;
      for (int64_t i = 0; i < op.x.columns; ++i) y[i] = gate * x[i];
    }
  });
}

void Rope(OpsContext& context, const RopeOp& op) {
  CHECK(op.num_heads > 0 && op.x.columns % op.num_heads == 0);
  const int64_t head_dim = op.x.columns / op.num_heads;
  CHECK(2 * op.num_pairs <= head_dim);
  CpuContext& cpu = Cpu(context);
  const kernels::RopeKernels& rope = cpu.kernels().rope;
  const auto kernel = op.pairs == RopePairs::kInterleaved ? rope.interleaved : rope.halves;
  cpu.ForRows(op.x.rows, op.x.columns, [&](int64_t begin, int64_t count) {
    kernel({.x = op.x.data + begin * op.x.stride,
            .row_stride = op.x.stride,
            .num_rows = count,
            .num_heads = op.num_heads,
            .head_dim = head_dim,
            .num_pairs = op.num_pairs,
            .cos = op.cos + begin * op.num_pairs,
            .sin = op.sin + begin * op.num_pairs});
  });
}

}  // namespace

void SiluMul(OpsContext& context, const GatedOp& op) {
  Gated<&ActivationKernels::silu_mul>(context, op);
}

void SetRowOps(Ops& ops) {
  ops.rms_norm = Norm<&NormKernels::rms_norm>;
  ops.rms_norm_residual = Norm<&NormKernels::rms_norm_residual>;
  ops.layer_norm = Norm<&NormKernels::layer_norm>;
  ops.activate = Activate;
  ops.silu_mul = SiluMul;
  ops.glu = Gated<&ActivationKernels::glu>;
  ops.add_scaled = AddScaled;
  ops.gate_rows = GateRows;
  ops.rope = Rope;
}

}  // namespace autoglm::cpu
