#ifndef AUTOGLM_MODEL_ENCODER_CONFIG_H_
#define AUTOGLM_MODEL_ENCODER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/preprocess/image.h"
#include "model/preprocess/image_preprocess.h"
#include "model/preprocess/mel.h"

namespace autoglm {

enum class Modality { kImage, kAudio };

// The vision tower of GLM-4.1V, with its merger (`glm4v_vision`).
struct Glm4vVisionConfig {
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t mlp_size = 0;     // out_hidden_size of config.json, for the blocks
  int64_t merger_size = 0;  // intermediate_size of config.json
  int64_t out_size = 0;     // width of an embedding row
  int64_t num_positions = 0;  // patches of the square the position table was learned on
  int64_t patch_size = 0;
  int64_t temporal_patch_size = 0;
  int64_t patch_values = 0;
  int64_t merge_size = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;

  int64_t PatchesPerToken() const { return merge_size * merge_size; }
  int64_t NumStates(const Grid& grid) const { return grid.NumCells() / PatchesPerToken(); }
};

// A plain vision transformer (`vit`).
struct VitConfig {
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t mlp_size = 0;
  Grid grid;  // of every picture
  int64_t patch_size = 0;
  int64_t patch_values = 0;
  int64_t merge_size = 1;
  bool qkv_bias = true;
  double layer_norm_eps = 1e-12;

  int64_t NumStates(const Grid& all_patches) const { return all_patches.NumCells(); }
};

// A conformer over mel frames (`parakeet_encoder`).
struct ConformerConfig {
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t mlp_size = 0;
  int64_t conv_kernel_size = 0;
  int64_t num_subsampling_convs = 0;  // log2 of subsampling_factor, each halving the frames
  int64_t subsampling_channels = 0;
  int64_t num_mel_bins = 0;
  int64_t max_frames = 0;  // after subsampling: max_position_embeddings
  bool attention_bias = true;
  bool convolution_bias = true;
  bool scale_input = true;

  // Returns the number of frames that are left of the mel frames after subsampling.
  int64_t NumStates(const Grid& mel_frames) const;
};

// A projector that maps `stack` consecutive tower rows to one embedding row (`gated`).
struct GatedProjectorConfig {
  int64_t stack = 1;
  int64_t in_size = 0;      // stack * width of a tower row
  int64_t hidden_size = 0;
  int64_t out_size = 0;
};

// Grid and number of rows of an item.
struct ItemPlan {
  Grid grid;
  int64_t num_rows = 0;  // embedding rows
};

// Everything about one modality of a checkpoint, checked for consistency. A tower's states are its
// output rows for an item's patches or frames.
struct EncoderConfig {
  Modality modality = Modality::kImage;
  std::string model_type;  // of the tower
  std::variant<Glm4vVisionConfig, VitConfig, ConformerConfig> tower;
  std::optional<GatedProjectorConfig> projector;
  std::optional<Dtype> dtype;  // of the checkpoint, if the file names one
  ImagePreprocessConfig image;  // of an image encoder
  MelConfig mel;                // of an audio encoder
  // Files and members of the processor that are there and have no effect, each with the reason.
  std::vector<std::string> unused_settings;

  // Returns the width of an embedding row.
  int64_t OutSize() const;
  ItemPlan PlanOf(const Grid& grid) const;
  // Returns the fewest mel frames that give one row, for an audio encoder.
  int64_t MinMelFrames() const;
  // Returns the mel frames of the longest recording, for an audio encoder.
  int64_t MaxMelFrames() const;
};

// Reads config.json and the files of the processor. A directory that holds a bare tower is an encoder
// without a projector. Refuses a checkpoint that has no tower of this modality.
Result<EncoderConfig> ReadEncoderConfig(const std::string& directory, Modality modality);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_ENCODER_CONFIG_H_
