#include "model/encoder/projector.h"

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
  return workspace_.LayOut(device_, {{&normed_, num_rows, config_.in_size},
                                     {&gates_, num_rows, 1},
                                     {&inner_, num_rows, config_.hidden_size},
                                     {&out_, num_rows, config_.out_size}});
}

MatrixView GatedProjector::Apply(const MatrixView& states) {
  const int64_t num_rows = NumRows(states.rows);
  const MatrixView stacked = DenseMatrix(states.data, num_rows, config_.in_size);

  layer_ops_.LayerNorm(stacked, norm_, kLayerNormEpsilon, normed_);
  layer_ops_.Multiply(normed_, gate_, gates_);
  layer_ops_.Multiply(normed_, linear1_, inner_);
  layer_ops_.Activate(Activation::kGeluErf, inner_);
  layer_ops_.Multiply(inner_, linear2_, out_);
  device_.ops->gate_rows(*device_.context, {.gate = gates_.data, .x = out_, .y = out_});
  return out_;
}

}  // namespace autoglm
