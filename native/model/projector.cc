#include "model/projector.h"

#include <algorithm>

namespace autoglm {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;

}  // namespace

void GatedProjector::Load(WeightLoader& loader) {
  norm_weight_ = loader.LoadVector("norm.weight", config_.in_size);
  norm_bias_ = loader.LoadVector("norm.bias", config_.in_size);
  gate_ = loader.LoadLinear({{"gate", 1}}, {config_.in_size}, true);
  linear1_ = loader.LoadLinear({{"linear_1", config_.hidden_size}}, {config_.in_size}, true);
  linear2_ = loader.LoadLinear({{"linear_2", config_.out_size}}, {config_.hidden_size}, true);
}

Status GatedProjector::Reserve(int64_t num_rows) {
  const Status status = workspace_.Reserve(device_, {{num_rows, config_.in_size},
                                                     {num_rows, 1},
                                                     {num_rows, config_.hidden_size},
                                                     {num_rows, config_.out_size}});
  if (!status.ok()) return status;
  return device_.ops->reserve_gemm_input(
      *device_.context, num_rows * std::max(config_.in_size, config_.hidden_size));
}

void GatedProjector::Multiply(const MatrixView& x, const Linear& linear,
                              const MatrixView& y) const {
  device_.ops->gemm(*device_.context, {.x = x,
                                       .weight = linear.weight,
                                       .bias = linear.bias,
                                       .activation_dtype = activation_dtype_,
                                       .y = y});
}

MatrixView GatedProjector::Apply(const MatrixView& states) {
  const Ops& ops = *device_.ops;
  OpsContext& context = *device_.context;
  const int64_t num_rows = NumRows(states.rows);
  const MatrixView stacked = DenseMatrix(states.data, num_rows, config_.in_size);
  workspace_.Reset();
  const MatrixView normed = workspace_.Take(num_rows, config_.in_size);
  const MatrixView gate = workspace_.Take(num_rows, 1);
  const MatrixView inner = workspace_.Take(num_rows, config_.hidden_size);
  const MatrixView out = workspace_.Take(num_rows, config_.out_size);

  ops.layer_norm(context, {.x = stacked,
                           .weight = norm_weight_,
                           .bias = norm_bias_,
                           .epsilon = kLayerNormEpsilon,
                           .y = normed});
  Multiply(normed, gate_, gate);
  Multiply(normed, linear1_, inner);
  ops.activate(context, {.activation = Activation::kGeluErf, .x = inner, .y = inner});
  Multiply(inner, linear2_, out);
  ops.gate_rows(context, {.gate = gate.data, .x = out, .y = out});
  return out;
}

}  // namespace autoglm
