#ifndef AUTOGLM_MODEL_GLM4V_MERGER_H_
#define AUTOGLM_MODEL_GLM4V_MERGER_H_

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/layers/layer_ops.h"
#include "model/encoder/tower.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// The layers that turn the patches of GLM-4.1V's tower into embedding rows of the language model: a
// 2x2 convolution of stride 2, which in merge order is a product over four consecutive rows, and a
// gated layer.
class Glm4vMerger {
 public:
  Glm4vMerger(const Device& device, const Glm4vVisionConfig& config, Dtype activation_dtype)
      : device_(device), config_(config), layer_ops_(device, activation_dtype) {}

  // Loads the weights, which are named `downsample` and `merger`; the loader keeps the first
  // refusal.
  void Load(WeightLoader& loader);

  // Lays out the activations for `num_rows` rows of output.
  Status Reserve(int64_t num_rows);

  // Computes rows [n, out] from patches [n * patches per token, hidden], dense, in merge order.
  TowerOutcome Apply(const TowerBatch& batch, const MatrixView& patches, const MatrixView& rows);

 private:
  const Device& device_;
  const Glm4vVisionConfig config_;
  const LayerOps layer_ops_;
  Linear downsample_;      // [out, patches per token * hidden]
  Linear proj_;            // [out, out]
  LayerNormWeights norm_;  // [out]
  Linear gate_up_;         // [2 * merger, out]
  Linear down_;            // [out, merger]
  Workspace workspace_;
  // The activations hold one chunk of rows.
  MatrixView downsampled_;   // [chunk, out]
  MatrixView projected_;     // [chunk, out]
  MatrixView gate_up_rows_;  // [chunk, 2 * merger]
  MatrixView gated_;         // [chunk, merger]
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_GLM4V_MERGER_H_
