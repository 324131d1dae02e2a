#include "model/layers/layer_ops.h"

namespace autoglm {

LayerNormWeights LoadLayerNorm(WeightLoader& loader, const std::string& name, int64_t columns) {
  return {loader.LoadVector(name + ".weight", columns), loader.LoadVector(name + ".bias", columns)};
}

void LayerOps::Multiply(const MatrixView& x, const Linear& linear, const MatrixView& y) const {
  device_.ops->gemm(*device_.context, {.x = x,
                                       .weight = linear.weight,
                                       .bias = linear.bias,
                                       .activation_dtype = activation_dtype_,
                                       .y = y});
}

void LayerOps::ApplyGatedMlp(const MatrixView& x, const GatedMlp& mlp, const MatrixView& y) const {
  if (device_.ops->gated_mlp != nullptr) {
    return device_.ops->gated_mlp(*device_.context, {.x = x,
                                                     .gate_up = mlp.gate_up.weight,
                                                     .gate_up_bias = mlp.gate_up.bias,
                                                     .down = mlp.down.weight,
                                                     .down_bias = mlp.down.bias,
                                                     .activation_dtype = activation_dtype_,
                                                     .gate_up_rows = mlp.gate_up_rows,
                                                     .gated = mlp.gated,
                                                     .y = y});
  }
  Multiply(x, mlp.gate_up, mlp.gate_up_rows);
  device_.ops->silu_mul(*device_.context, {.x = mlp.gate_up_rows, .y = mlp.gated});
  Multiply(mlp.gated, mlp.down, y);
}

void LayerOps::LayerNorm(const MatrixView& x, const LayerNormWeights& norm, double epsilon,
                         const MatrixView& y) const {
  device_.ops->layer_norm(*device_.context, {.x = x,
                                             .weight = norm.weight,
                                             .bias = norm.bias,
                                             .epsilon = static_cast<float>(epsilon),
                                             .y = y});
}

void LayerOps::Activate(Activation activation, const MatrixView& x) const {
  device_.ops->activate(*device_.context, {.activation = activation, .x = x, .y = x});
}

void LayerOps::AddScaled(const MatrixView& x, float scale, const MatrixView& y) const {
  device_.ops->add_scaled(*device_.context, {.x = x, .scale = scale, .y = y});
}

void LayerOps::Upload(const float* host, const MatrixView& y) const {
  device_.ops->upload(*device_.context,
                      {{host, Dtype::kFloat32, {y.rows, y.columns}}, Dtype::kFloat32, y.data});
}

}  // namespace autoglm
