#include "model/encoder/encoder_config.h"

#include <bit>

#include "kernels/ops.h"
#include "model/checkpoint/checkpoint_dtype.h"
#include "model/checkpoint/json.h"
#include "model/encoder/preprocessor_config.h"

namespace autoglm {
namespace {

void Refuse(Status& status, const JsonObject& object, const std::string& message) {
  if (status.ok()) status = InvalidCheckpoint(object.where() + ": " + message);
}

// Refuses a model if one value of config.json is not the one that this engine computes.
void Require(Status& status, const JsonObject& object, const char* name,
             const std::string& expected) {
  const std::string value = object.String(name, expected);
  if (status.ok() && value != expected) {
    status = Unsupported(object.where() + ": " + name + " \"" + value +
                         "\" is not supported; supported: " + expected);
  }
}

void CheckHeads(Status& status, const JsonObject& object, int64_t hidden_size, int64_t num_heads) {
  if (!status.ok()) return;
  if (hidden_size % num_heads != 0) {
    Refuse(status, object, "the hidden size is no multiple of the number of heads");
  } else if (hidden_size / num_heads > kMaxHeadDim) {
    status = Unsupported(object.where() + ": heads wider than " +
                         std::to_string(kMaxHeadDim) + " are not supported");
  }
}

// Reads the base of the angles from `rope_parameters` (version 5 of the format). Earlier versions
// do not state it: it is 10000.
double RopeTheta(const JsonObject& vision) {
  if (!vision.Has("rope_parameters")) return 10000.0;
  return vision.Object("rope_parameters").Number("rope_theta", 10000.0);
}

void ReadGlm4v(const JsonObject& vision, EncoderConfig& config, Status& status) {
  Require(status, vision, "hidden_act", "silu");
  if (vision.Boolean("attention_bias", false) && status.ok()) {
    status = Unsupported(vision.where() + ": attention_bias is not supported in glm4v_vision");
  }
  const int64_t patch_size = vision.PositiveInteger("patch_size");
  const int64_t frames = vision.PositiveInteger("temporal_patch_size");
  const int64_t image_size = vision.PositiveInteger("image_size");

  Glm4vVisionConfig tower;
  tower.hidden_size = vision.PositiveInteger("hidden_size");
  tower.num_layers = vision.PositiveInteger("depth");
  tower.num_heads = vision.PositiveInteger("num_heads");
  // config.json calls the block's MLP width out_hidden_size and the merger's width
  // intermediate_size.
  tower.out_size = vision.PositiveInteger("out_hidden_size");
  tower.mlp_size = tower.out_size;
  tower.merger_size = vision.PositiveInteger("intermediate_size");
  tower.merge_size = vision.PositiveInteger("spatial_merge_size");
  tower.rms_norm_eps = vision.Number("rms_norm_eps", 1e-5);
  tower.rope_theta = RopeTheta(vision);
  CheckHeads(status, vision, tower.hidden_size, tower.num_heads);
  if (!status.ok()) return;
  if (tower.hidden_size / tower.num_heads % 4 != 0) {
    Refuse(status, vision, "two rotary axes need heads whose width is a multiple of 4");
    return;
  }
  tower.num_positions = (image_size / patch_size) * (image_size / patch_size);
  if (tower.num_positions == 0) Refuse(status, vision, "image_size is below patch_size");
  config.image.patch_size = patch_size;
  config.image.temporal_patch_size = frames;
  config.image.merge_size = tower.merge_size;
  tower.patch_size = patch_size;
  tower.temporal_patch_size = frames;
  tower.patch_values = config.image.PatchValues();
  config.tower = tower;
}

// Reads the size of a picture: a number for a square, or [height, width].
ImageSize ReadImageSize(const JsonObject& vision, Status& status) {
  if (!vision.IsArray("image_size")) {
    const int64_t side = vision.PositiveInteger("image_size");
    return {side, side};
  }
  const std::vector<int64_t> sides = vision.Integers("image_size");
  if (sides.size() == 2 && sides[0] > 0 && sides[1] > 0) return {sides[0], sides[1]};
  Refuse(status, vision, "image_size: expected a number or [height, width]");
  return {};
}

void ReadVit(const JsonObject& vision, EncoderConfig& config, Status& status) {
  Require(status, vision, "hidden_act", "gelu");
  const int64_t patch_size = vision.PositiveInteger("patch_size");
  const ImageSize image_size = ReadImageSize(vision, status);

  VitConfig tower;
  tower.hidden_size = vision.PositiveInteger("hidden_size");
  tower.num_layers = vision.PositiveInteger("num_hidden_layers");
  tower.num_heads = vision.PositiveInteger("num_attention_heads");
  tower.mlp_size = vision.PositiveInteger("intermediate_size");
  tower.qkv_bias = vision.Boolean("qkv_bias", true);
  tower.layer_norm_eps = vision.Number("layer_norm_eps", 1e-12);
  if (vision.Has("spatial_merge_size")) {
    tower.merge_size = vision.PositiveInteger("spatial_merge_size");
  }
  CheckHeads(status, vision, tower.hidden_size, tower.num_heads);
  if (!status.ok()) return;
  const int64_t token_side = patch_size * tower.merge_size;
  if (image_size.height % token_side != 0 || image_size.width % token_side != 0) {
    Refuse(status, vision,
           "image_size: expected multiples of " + std::to_string(token_side) + " pixels");
    return;
  }
  config.image.patch_size = patch_size;
  config.image.merge_size = tower.merge_size;
  config.image.fixed_size = image_size;
  tower.patch_size = patch_size;
  tower.grid = PatchGrid(config.image, image_size);
  tower.patch_values = config.image.PatchValues();
  config.tower = tower;
}

void ReadConformer(const JsonObject& audio, EncoderConfig& config, Status& status) {
  Require(status, audio, "hidden_act", "silu");
  ConformerConfig tower;
  tower.hidden_size = audio.PositiveInteger("hidden_size");
  tower.num_layers = audio.PositiveInteger("num_hidden_layers");
  tower.num_heads = audio.PositiveInteger("num_attention_heads");
  tower.mlp_size = audio.PositiveInteger("intermediate_size");
  tower.conv_kernel_size = audio.PositiveInteger("conv_kernel_size");
  tower.subsampling_channels = audio.PositiveInteger("subsampling_conv_channels");
  tower.num_mel_bins = audio.PositiveInteger("num_mel_bins");
  tower.max_frames = audio.PositiveInteger("max_position_embeddings");
  tower.attention_bias = audio.Boolean("attention_bias", true);
  tower.convolution_bias = audio.Boolean("convolution_bias", true);
  tower.scale_input = audio.Boolean("scale_input", true);
  const int64_t factor = audio.PositiveInteger("subsampling_factor");
  const int64_t kernel = audio.PositiveInteger("subsampling_conv_kernel_size");
  const int64_t stride = audio.PositiveInteger("subsampling_conv_stride");
  CheckHeads(status, audio, tower.hidden_size, tower.num_heads);
  if (!status.ok()) return;
  if (factor < 2 || !std::has_single_bit(static_cast<uint64_t>(factor)) || kernel != 3 ||
      stride != 2 || tower.conv_kernel_size % 2 == 0 || tower.hidden_size % 2 != 0) {
    status = Unsupported(audio.where() +
                         ": supported are subsampling by a power of two in 3x3 convolutions of "
                         "stride 2, an odd conv_kernel_size and an even hidden_size");
    return;
  }
  tower.num_subsampling_convs = std::countr_zero(static_cast<uint64_t>(factor));
  config.tower = tower;
}

void ReadProjector(const JsonObject& root, const JsonObject& part, EncoderConfig& config,
                   Status& status) {
  const JsonObject block = root.Object("projector_config");
  Require(status, block, "type", "gated");
  Require(status, block, "hidden_act", "gelu");
  GatedProjectorConfig projector;
  projector.hidden_size = block.PositiveInteger("hidden_size");
  projector.out_size = root.Object("text_config").PositiveInteger("hidden_size");
  if (const VitConfig* vit = std::get_if<VitConfig>(&config.tower)) {
    projector.stack = vit->merge_size * vit->merge_size;
    projector.in_size = projector.stack * vit->hidden_size;
  } else if (const ConformerConfig* conformer = std::get_if<ConformerConfig>(&config.tower)) {
    projector.stack = part.Has("frame_stack") ? part.PositiveInteger("frame_stack") : 1;
    projector.in_size = projector.stack * conformer->hidden_size;
  }
  config.projector = projector;
}

// Returns the tower's block, or the whole file if the directory holds a bare tower.
JsonObject TowerBlock(const JsonObject& root, Modality modality) {
  const char* name = modality == Modality::kImage ? "vision_config" : "audio_config";
  return root.Has(name) ? root.Object(name) : root;
}

void ReadTower(const JsonObject& part, Modality modality, EncoderConfig& config, Status& status) {
  const std::string type = part.String("model_type", "");
  // The first releases of GLM-4.1V give tower and checkpoint the same type.
  if (modality == Modality::kImage && (type == "glm4v_vision" || type == "glm4v")) {
    config.model_type = "glm4v_vision";
    ReadGlm4v(part, config, status);
  } else if (modality == Modality::kImage && type == "vit") {
    config.model_type = type;
    ReadVit(part, config, status);
  } else if (modality == Modality::kAudio && type == "parakeet_encoder") {
    config.model_type = type;
    ReadConformer(part, config, status);
  } else if (status.ok()) {
    status = Unsupported(
        part.where() + ": model_type \"" + type + "\" is no supported " +
        (modality == Modality::kImage ? "vision tower; supported: glm4v_vision, vit"
                                      : "speech tower; supported: parakeet_encoder"));
  }
}

}  // namespace

int64_t ConformerConfig::NumStates(const Grid& mel_frames) const {
  int64_t frames = mel_frames.t;
  for (int64_t i = 0; i < num_subsampling_convs; ++i) frames = (frames - 1) / 2 + 1;
  return frames;
}

ItemPlan EncoderConfig::PlanOf(const Grid& grid) const {
  const int64_t num_states =
      std::visit([&](const auto& of_tower) { return of_tower.NumStates(grid); }, tower);
  return {grid, projector.has_value() ? num_states / projector->stack : num_states};
}

// Returns the fewest mel frames of one row: L frames need 2 L - 1 frames before each halving.
int64_t EncoderConfig::MinMelFrames() const {
  const int64_t factor = int64_t{1} << std::get<ConformerConfig>(tower).num_subsampling_convs;
  const int64_t frames = projector.has_value() ? projector->stack : 1;
  return (frames - 1) * factor + 1;
}

int64_t EncoderConfig::MaxMelFrames() const {
  const ConformerConfig& conformer = std::get<ConformerConfig>(tower);
  return conformer.max_frames << conformer.num_subsampling_convs;
}

int64_t EncoderConfig::OutSize() const {
  if (projector.has_value()) return projector->out_size;
  if (const auto* glm4v = std::get_if<Glm4vVisionConfig>(&tower)) return glm4v->out_size;
  if (const auto* vit = std::get_if<VitConfig>(&tower)) return vit->hidden_size;
  return std::get<ConformerConfig>(tower).hidden_size;
}

Result<EncoderConfig> ReadEncoderConfig(const std::string& directory, Modality modality) {
  const std::string path = directory + "/config.json";
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  EncoderConfig config;
  config.modality = modality;
  const JsonObject root(json.value(), path, status);
  const JsonObject part = TowerBlock(root, modality);
  ReadTower(part, modality, config, status);
  if (!status.ok()) return status;
  if (root.Has("projector_config")) ReadProjector(root, part, config, status);
  config.dtype = ReadDtype(root, part, status);
  if (!status.ok()) return status;

  const Status preprocessor = ReadPreprocessorConfig(directory, config);
  if (!preprocessor.ok()) return preprocessor;
  return config;
}

}  // namespace autoglm
