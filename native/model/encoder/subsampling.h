#ifndef AUTOGLM_MODEL_SUBSAMPLING_H_
#define AUTOGLM_MODEL_SUBSAMPLING_H_

#include <cstdint>
#include <vector>

#include "kernels/ops.h"
#include "model/encoder/encoder_config.h"
#include "model/layers/layer_ops.h"
#include "model/weights/weight_loader.h"
#include "model/layers/workspace.h"

namespace autoglm {

// The front end of a conformer: 3x3 convolutions of stride 2 over the plane of mel frames and
// bands, the first one full, each of the others depthwise and followed by a pointwise one, then a
// linear layer over bands and channels. It computes the frames in chunks, since its planes are far
// larger than its input.
//
// It reads exactly the frames that hold speech. The reference puts zeros around them by padding and
// masks; the padding of the convolutions gives the same zeros here.
class Subsampling {
 public:
  Subsampling(const Device& device, const ConformerConfig& config, Dtype activation_dtype)
      : device_(device), config_(config), layer_ops_(device, activation_dtype) {}

  // Loads the weights, whose prefix is "subsampling."; the loader keeps the first refusal.
  void Load(WeightLoader& loader);

  // Lays out the activations of a chunk.
  Status Reserve();

  // Computes frames [config.NumStates(...), hidden] from mel, device memory [num_mel_frames,
  // num_mel_bins].
  void Apply(const MatrixView& mel, const MatrixView& frames);

 private:
  // A depthwise convolution and the pointwise one that follows it.
  struct Stage {
    const float* depthwise;       // [3, 3, channels]
    const float* depthwise_bias;  // [channels]
    Linear pointwise;             // [channels, channels]
  };

  // Returns the extent of a plane after `level` convolutions.
  int64_t ExtentAt(int64_t level, int64_t extent) const;
  int64_t BandsAt(int64_t level) const { return ExtentAt(level, config_.num_mel_bins); }
  PlaneGeometry Plane(int64_t level, int64_t num_frames) const;

  void ApplyChunk(const MatrixView& mel, const MatrixView& frames, int64_t begin, int64_t count);

  const Device& device_;
  const ConformerConfig config_;
  const LayerOps layer_ops_;
  Linear first_;               // [channels, 9]
  std::vector<Stage> stages_;  // num_subsampling_convs - 1
  Linear linear_;              // [hidden, bands * channels]
  Workspace workspace_;
  MatrixView taps_;       // [pixels of a chunk's first plane, 9]
  MatrixView planes_[2];  // [pixels of a chunk's first plane, channels], read and written in turn
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_SUBSAMPLING_H_
