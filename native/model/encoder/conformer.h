#ifndef AUTOGLM_MODEL_CONFORMER_H_
#define AUTOGLM_MODEL_CONFORMER_H_

#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/layers/layer_ops.h"
#include "model/encoder/subsampling.h"
#include "model/encoder/tower.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// The conformer of https://arxiv.org/abs/2005.08100 with convolutional subsampling, as in
// `ParakeetEncoder`: two half-step feed-forward layers around attention over relative positions and
// a depthwise convolution over time. Items of a batch are never padded, so nothing is masked.
class Conformer final : public Tower {
 public:
  // Loads a conformer. `loader` reads the tower's part of the checkpoint; `front_loader` reads the
  // same part as float32, because the front end is small and its weights carry the model's input
  // scale. Device and memory of the weights must outlive the conformer.
  static Result<std::unique_ptr<Conformer>> Load(const Device& device,
                                                 const ConformerConfig& config,
                                                 Dtype activation_dtype, WeightLoader& loader,
                                                 WeightLoader& front_loader);

  Status Reserve(std::span<const TowerItem> items) override;
  TowerOutcome Encode(const TowerBatch& batch, MatrixView& states) override;
  StateRange StatesOf(std::span<const TowerItem> items, int64_t index) const override;

 private:
  struct FeedForward {
    LayerNormWeights norm;
    Linear linear1;  // [mlp, hidden]
    Linear linear2;  // [hidden, mlp]
  };
  struct Attention {
    LayerNormWeights norm;
    // q + u | q + v | k | v, [4 * hidden, hidden]. Content and position add biases of their own to
    // the same query, so the query's weight is packed twice and one product gives both sums.
    Linear queries_keys_values;
    Linear relative_keys;  // [hidden, hidden]
    Linear output;         // [hidden, hidden]
  };
  struct Convolution {
    LayerNormWeights norm;
    Linear pointwise1;            // [2 * hidden, hidden]
    const float* depthwise;       // [kernel, hidden], batch norm folded in
    const float* depthwise_bias;  // [hidden]
    Linear pointwise2;            // [hidden, hidden]
  };
  struct Layer {
    FeedForward feed_forward1;
    Attention attention;
    Convolution convolution;
    FeedForward feed_forward2;
    LayerNormWeights norm_out;
  };
  // Rows are the subsampled frames of the batch; T is the number of rows of the longest item.
  struct Activations {
    MatrixView mel;            // [mel frames of the batch, num_mel_bins]
    MatrixView x;              // [rows, hidden]: the residual
    MatrixView normed;         // [rows, hidden]
    MatrixView wide;           // [rows, max(4 * hidden, mlp)]
    MatrixView branch;         // [rows, hidden]
    MatrixView distances;      // [2 * T - 1, hidden]: sinusoids
    MatrixView relative_keys;  // [2 * T - 1, hidden]

    // Returns the memory of `wide` as a dense matrix of `columns` columns.
    MatrixView Wide(int64_t columns) const { return DenseMatrix(wide.data, wide.rows, columns); }
  };

  Conformer(const Device& device, const ConformerConfig& config, Dtype activation_dtype)
      : device_(device),
        config_(config),
        layer_ops_(device, activation_dtype),
        subsampling_(device, config, activation_dtype) {}

  FeedForward LoadFeedForward(WeightLoader& loader, const std::string& layer,
                              const std::string& name) const;
  Attention LoadAttention(WeightLoader& loader, const std::string& layer) const;
  Convolution LoadConvolution(WeightLoader& loader, const std::string& layer) const;

  int64_t NumFrames(std::span<const TowerItem> items) const;
  int64_t LongestItem(std::span<const TowerItem> items) const;
  int64_t WideSize() const;
  MatrixView ItemRows(const MatrixView& rows, std::span<const TowerItem> items,
                      int64_t index) const;

  void Subsample(const TowerBatch& batch, const Activations& a);
  void ApplyFeedForward(const FeedForward& feed_forward, const Activations& a) const;
  void Attend(const TowerBatch& batch, const Attention& attention, const Activations& a) const;
  void Convolve(const TowerBatch& batch, const Convolution& convolution,
                const Activations& a) const;


  const Device& device_;
  const ConformerConfig config_;
  const LayerOps layer_ops_;
  Subsampling subsampling_;
  std::vector<Layer> layers_;
  // Sinusoids of the longest item so far, in host memory: [2 * sinusoid_frames_ - 1, hidden].
  std::vector<float> sinusoids_;
  int64_t sinusoid_frames_ = 0;
  Workspace workspace_;
  Activations activations_;  // of the batch that Reserve laid out
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_CONFORMER_H_
