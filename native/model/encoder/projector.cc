#include "model/encoder/projector.h"

#include <algorithm>

namespace autoglm {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;

}  // namespace

void GatedProjector::Load(WeightLoader& loader) {
  norm_ = LoadLayerNorm(loader, "norm", config_.in_size);
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

MatrixView GatedProjector::Apply(const MatrixView& states) {
  const int64_t num_rows = NumRows(states.rows);
  const MatrixView stacked = DenseMatrix(states.data, num_rows, config_.in_size);
  workspace_.Reset();
  const MatrixView normed = workspace_.Take(num_rows, config_.in_size);
  const MatrixView gate = workspace_.Take(num_rows, 1);
  const MatrixView inner = workspace_.Take(num_rows, config_.hidden_size);
  const MatrixView out = workspace_.Take(num_rows, config_.out_size);

  layer_ops_.LayerNorm(stacked, norm_, kLayerNormEpsilon, normed);
  layer_ops_.Multiply(normed, gate_, gate);
  layer_ops_.Multiply(normed, linear1_, inner);
  layer_ops_.Activate(Activation::kGeluErf, inner);
  layer_ops_.Multiply(inner, linear2_, out);
  device_.ops->gate_rows(*device_.context, {.gate = gate.data, .x = out, .y = out});
  return out;
}

}  // namespace autoglm
