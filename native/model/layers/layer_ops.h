#ifndef AUTOGLM_MODEL_LAYER_OPS_H_
#define AUTOGLM_MODEL_LAYER_OPS_H_

#include <cstdint>
#include <string>

#include "kernels/ops.h"
#include "model/weights/weight_loader.h"

namespace autoglm {

// Weights of a LayerNorm, both [columns].
struct LayerNormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

// Reads NAME.weight and NAME.bias.
LayerNormWeights LoadLayerNorm(WeightLoader& loader, const std::string& name, int64_t columns);

// Weights of an MLP whose first half of columns gates the second, and memory for its rows.
struct GatedMlp {
  const Linear& gate_up;
  const Linear& down;
  MatrixView gate_up_rows;  // [rows, columns of gate_up], dense; overwritten
  MatrixView gated;         // [rows, depth of down], dense; overwritten
};

// Operations that every tower uses, on one device and in one arithmetic.
class LayerOps {
 public:
  LayerOps(const Device& device, Dtype activation_dtype)
      : device_(device), activation_dtype_(activation_dtype) {}

  Dtype activation_dtype() const { return activation_dtype_; }

  // Computes y = x * transpose(weight) + bias.
  void Multiply(const MatrixView& x, const Linear& linear, const MatrixView& y) const;
  // Computes y = down(silu(gate(x)) * up(x)); y may be x.
  void ApplyGatedMlp(const MatrixView& x, const GatedMlp& mlp, const MatrixView& y) const;
  // Computes y = norm(x); y may be x.
  void LayerNorm(const MatrixView& x, const LayerNormWeights& norm, double epsilon,
                 const MatrixView& y) const;
  // Computes x = activation(x).
  void Activate(Activation activation, const MatrixView& x) const;
  // Computes y += scale * x.
  void AddScaled(const MatrixView& x, float scale, const MatrixView& y) const;
  // Copies float32 values from host memory, [y.rows, y.columns], to a dense matrix.
  void Upload(const float* host, const MatrixView& y) const;

 private:
  const Device& device_;
  const Dtype activation_dtype_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_LAYER_OPS_H_
