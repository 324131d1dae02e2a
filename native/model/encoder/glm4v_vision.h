#ifndef AUTOGLM_MODEL_GLM4V_VISION_H_
#define AUTOGLM_MODEL_GLM4V_VISION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/encoder/glm4v_merger.h"
#include "model/layers/layer_ops.h"
#include "model/encoder/position_table.h"
#include "model/encoder/tower.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// The vision tower of GLM-4.1V and its merger: pictures of any size under a bicubic position table
// and two-axis rotary angles, full attention within a picture, then 2x2 patches become one
// embedding row. A screenshot has above ten thousand patches: all operations but attention run in
// chunks of rows, so that memory stays bounded and cancelling does not wait for a whole layer.
class Glm4vVision final : public Tower {
 public:
  // Loads a tower. `loader` reads the tower's part of the checkpoint. Device and memory of the
  // weights must outlive the tower.
  static Result<std::unique_ptr<Glm4vVision>> Load(const Device& device,
                                                   const Glm4vVisionConfig& config,
                                                   Dtype activation_dtype, WeightLoader& loader);

  Status Reserve(std::span<const TowerItem> items) override;
  TowerOutcome Encode(const TowerBatch& batch, MatrixView& states) override;
  StateRange StatesOf(std::span<const TowerItem> items, int64_t index) const override;

 private:
  struct Layer {
    const float* norm1;  // [hidden]
    Linear qkv;          // [3 * hidden, hidden]
    Linear proj;         // [hidden, hidden]
    const float* norm2;  // [hidden]
    Linear gate_up;      // [2 * mlp, hidden]
    Linear down;         // [hidden, mlp]
  };
  // Positions and angles of the pictures of one size, in host memory and merge order.
  struct GridTables {
    Grid grid;
    std::vector<float> positions;  // [grid cells, hidden]
    std::vector<float> cos;        // [grid cells, head_dim / 2]
    std::vector<float> sin;        // [grid cells, head_dim / 2]
  };
  // Activations of a batch of n patches.
  struct Activations {
    MatrixView patches;   // [n, patch values]
    MatrixView x;         // [n, hidden]: the residual
    MatrixView attended;  // [n, hidden]
    MatrixView qkv;       // [n, 3 * hidden]
    MatrixView cos;       // [n, head_dim / 2]
    MatrixView sin;       // [n, head_dim / 2]
    MatrixView branch;    // [chunk, hidden]
    MatrixView gate_up;   // [chunk, 2 * mlp]
    MatrixView gated;     // [chunk, mlp]
    MatrixView rows;      // [embedding rows, out]
  };

  Glm4vVision(const Device& device, const Glm4vVisionConfig& config, Dtype activation_dtype)
      : device_(device),
        config_(config),
        layer_ops_(device, activation_dtype),
        merger_(device, config, activation_dtype) {}

  void LoadStem(WeightLoader& loader);
  Layer LoadLayer(WeightLoader& loader, const std::string& prefix) const;

  int64_t HeadDim() const { return config_.hidden_size / config_.num_heads; }
  const GridTables& TablesOf(const Grid& grid);

  void Embed(const TowerBatch& batch, const Activations& a);
  TowerOutcome RunLayer(const TowerBatch& batch, const Layer& layer, const Activations& a) const;
  void ProjectQkv(const Layer& layer, const Activations& a, int64_t begin, int64_t count) const;
  TowerOutcome Attend(const TowerBatch& batch, const Activations& a) const;
  void FinishLayer(const Layer& layer, const Activations& a, int64_t begin, int64_t count) const;
  void ApplyNorm(const float* weight, const MatrixView& x, const MatrixView& y) const;

  const Device& device_;
  const Glm4vVisionConfig config_;
  const LayerOps layer_ops_;
  Linear patch_projection_;                 // [hidden, patch values]
  const float* post_conv_norm_ = nullptr;   // [hidden]
  std::optional<PositionTable> positions_;  // set once loaded
  std::vector<Layer> layers_;
  const float* post_norm_ = nullptr;  // [hidden]
  Glm4vMerger merger_;
  // Tables of the last grid. They are kept because a phone sends pictures of one size.
  std::optional<GridTables> tables_;
  Workspace workspace_;
  Activations activations_;  // of the batch that Reserve laid out
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_GLM4V_VISION_H_
