#ifndef AUTOGLM_MODEL_VIT_H_
#define AUTOGLM_MODEL_VIT_H_

#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/layers/layer_ops.h"
#include "model/encoder/tower.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// The vision transformer of https://arxiv.org/abs/2010.11929: patches and a class token in pre-norm
// blocks. Patches are in merge order, so that the patches of one embedding row are neighbours;
// attention does not depend on their order. An item's states are its class token, then its patches.
class Vit final : public Tower {
 public:
  // Loads a transformer. `loader` reads the tower's part of the checkpoint. Device and memory of
  // the weights must outlive the transformer.
  static Result<std::unique_ptr<Vit>> Load(const Device& device, const VitConfig& config,
                                           Dtype activation_dtype, WeightLoader& loader);

  Status Reserve(std::span<const TowerItem> items) override;
  TowerOutcome Encode(const TowerBatch& batch, MatrixView& states) override;
  StateRange StatesOf(std::span<const TowerItem> items, int64_t index) const override;

 private:
  struct Layer {
    LayerNormWeights before;    // layernorm_before
    Linear qkv;     // [3 * hidden, hidden]
    Linear output;  // [hidden, hidden]
    LayerNormWeights after;     // layernorm_after
    Linear fc1;     // [mlp, hidden]
    Linear fc2;     // [hidden, mlp]
  };
  // Activations of a batch; `rows` counts the rows of all its items.
  struct Activations {
    MatrixView patches;  // [cells of the batch, patch values]
    MatrixView x;        // [rows, hidden]: the residual
    MatrixView normed;   // [rows, hidden], later the output of a branch
    MatrixView qkv;      // [rows, 3 * hidden]
    MatrixView mlp;      // [rows, mlp]
  };

  Vit(const Device& device, const VitConfig& config, Dtype activation_dtype)
      : device_(device), config_(config), layer_ops_(device, activation_dtype) {}

  Status LoadEmbeddings(WeightLoader& loader);
  Layer LoadLayer(WeightLoader& loader, const std::string& prefix) const;

  int64_t RowsPerItem() const { return 1 + config_.grid.NumCells(); }
  void Embed(const TowerBatch& batch, const Activations& a) const;
  void Attend(const TowerBatch& batch, const Layer& layer, const Activations& a) const;
  void ApplyMlp(const Layer& layer, const Activations& a) const;

  const Device& device_;
  const VitConfig config_;
  const LayerOps layer_ops_;
  Linear patch_projection_;      // [hidden, patch values]
  std::vector<float> class_row_;  // host [hidden]: class token plus its position
  Workspace constants_;
  MatrixView patch_positions_;  // [grid cells, hidden] of constants_, in merge order
  std::vector<Layer> layers_;
  LayerNormWeights final_norm_;
  Workspace workspace_;
  Activations activations_;  // of the batch that Reserve laid out
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_VIT_H_
