#ifndef AUTOGLM_MODEL_PROJECTOR_H_
#define AUTOGLM_MODEL_PROJECTOR_H_

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/layers/layer_ops.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// Gated alignment: z = LayerNorm(x), out = sigmoid(gate(z)) * linear_2(gelu(linear_1(z))). x is
// `stack` consecutive tower states side by side; the gate is one number per row.
class GatedProjector {
 public:
  GatedProjector(const Device& device, const GatedProjectorConfig& config, Dtype activation_dtype)
      : device_(device), config_(config), layer_ops_(device, activation_dtype) {}

  // Loads the weights; the loader keeps the first refusal.
  void Load(WeightLoader& loader);

  int64_t NumRows(int64_t num_states) const { return num_states / config_.stack; }
  // Lays out the activations for `num_rows` rows of output.
  Status Reserve(int64_t num_rows);

  // Computes the rows that Reserve has laid out. states: device memory [num_states, in_size /
  // stack], dense. An incomplete last group is dropped. Returns [NumRows(num_states), out_size],
  // valid until the next call.
  MatrixView Apply(const MatrixView& states);

 private:
  const Device& device_;
  const GatedProjectorConfig config_;
  const LayerOps layer_ops_;
  LayerNormWeights norm_;  // [in]
  Linear gate_;            // [1, in]
  Linear linear1_;         // [hidden, in]
  Linear linear2_;         // [out, hidden]
  Workspace workspace_;
  MatrixView normed_;  // [rows, in]
  MatrixView gates_;   // [rows, 1]
  MatrixView inner_;   // [rows, hidden]
  MatrixView out_;     // [rows, out]
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_PROJECTOR_H_
