#include "model/encoder/preprocessor_config.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

constexpr std::array<float, kNumImageChannels> kClipMean = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, kNumImageChannels> kClipStd = {0.26862954f, 0.26130258f, 0.27577711f};

// Default bounds of Glm4vImageProcessor.
constexpr PixelBounds kGlm4vBounds = {.min_volume = 112 * 112, .max_volume = 28 * 28 * 15000};

// Largest lower bound of an image's volume (frames * height * width): that of a published
// processor's upper bound.
constexpr int64_t kMaxMinVolume = 28 * 28 * 15000;
// Largest values of the feature extractor, well above what speech models use. The Fourier
// transform and the filters are sized by them.
constexpr int64_t kMaxFftSize = 16384;
constexpr int64_t kMaxSampleRateHz = 192000;

void ReadChannels(const JsonObject& object, const char* name, Status& status,
                  std::array<float, kNumImageChannels>& channels) {
  if (!object.Has(name)) return;
  const std::vector<double> values = object.Numbers(name);
  if (values.size() != channels.size()) {
    if (status.ok()) {
      status = InvalidCheckpoint(object.where() + ": \"" + name + "\": expected three numbers");
    }
    return;
  }
  for (size_t i = 0; i < channels.size(); ++i) channels[i] = static_cast<float>(values[i]);
}

// Refuses a number that differs from the one in config.json.
void CheckEqual(const JsonObject& object, const char* name, int64_t expected, Status& status) {
  if (!object.Has(name)) return;
  const int64_t value = object.PositiveInteger(name);
  if (status.ok() && value != expected) {
    status = InvalidCheckpoint(object.where() + ": " + name + " is " + std::to_string(value) +
                               ", config.json says " + std::to_string(expected));
  }
}

// Refuses every filter but bicubic, which is number 3 of Pillow's filters.
void CheckResample(const JsonObject& object, Status& status) {
  if (!object.Has("resample") || !status.ok()) return;
  const bool bicubic = object.IsString("resample")
                           ? object.String("resample", "") == "bicubic_antialias"
                           : object.PositiveInteger("resample") == 3;
  if (!bicubic && status.ok()) {
    status = Unsupported(object.where() + ": resample: only bicubic is supported");
  }
}

// Reads the switches of the steps. A picture has to be resized, since the tower takes whole patches.
void ReadSteps(const JsonObject& processor, ImagePreprocessConfig& image, Status& status) {
  if (!processor.Boolean("do_resize", true) && status.ok()) {
    status = Unsupported(processor.where() + ": do_resize: only true is supported");
  }
  if (!processor.Boolean("do_rescale", true)) image.rescale_factor = 1.0f;
  if (!processor.Boolean("do_normalize", true)) {
    image.mean.fill(0.0f);
    image.std.fill(1.0f);
  }
}

void ReadFixedSize(const JsonObject& processor, const ImageSize& size, Status& status) {
  const char* name = processor.Has("resize") ? "resize" : "size";
  if (!processor.Has(name)) return;
  const JsonObject block = processor.Object(name);
  CheckEqual(block, "height", size.height, status);
  CheckEqual(block, "width", size.width, status);
  CheckResample(block, status);
}

void ReadBounds(const JsonObject& processor, SmartResizeRule& rule, Status& status) {
  if (!processor.Has("size")) return;
  const JsonObject size = processor.Object("size");
  rule.bounds.min_volume = size.PositiveInteger("shortest_edge");
  rule.bounds.max_volume = size.PositiveInteger("longest_edge");
  if (!status.ok()) return;
  // Every image is enlarged to the lower bound, whatever its size.
  if (rule.bounds.min_volume > kMaxMinVolume || rule.bounds.min_volume > rule.bounds.max_volume) {
    status = InvalidCheckpoint(size.where() + ": \"shortest_edge\": expected at most " +
                               std::to_string(kMaxMinVolume) + " and longest_edge, found " +
                               std::to_string(rule.bounds.min_volume));
  }
}

void ReadImageProcessor(const JsonObject& processor, ImagePreprocessConfig& image,
                        Status& status) {
  ReadChannels(processor, "image_mean", status, image.mean);
  ReadChannels(processor, "image_std", status, image.std);
  image.rescale_factor =
      static_cast<float>(processor.Number("rescale_factor", image.rescale_factor));
  CheckEqual(processor, "patch_size", image.patch_size, status);
  CheckEqual(processor, "temporal_patch_size", image.temporal_patch_size, status);
  CheckEqual(processor, "merge_size", image.merge_size, status);
  CheckResample(processor, status);
  ReadSteps(processor, image, status);
  if (image.fixed_size.has_value()) {
    ReadFixedSize(processor, *image.fixed_size, status);
  } else {
    ReadBounds(processor, image.smart_resize, status);
  }
  for (const float deviation : image.std) {
    if (status.ok() && !(deviation > 0.0f)) {
      status = InvalidCheckpoint(processor.where() + ": image_std: expected positive numbers");
    }
  }
}

void ReadFeatureExtractor(const JsonObject& extractor, MelConfig& mel, Status& status) {
  CheckEqual(extractor, "feature_size", mel.num_mel_bins, status);
  for (const auto& [name, value] : {std::pair{"sampling_rate", &mel.sample_rate_hz},
                                    std::pair{"hop_length", &mel.hop_length},
                                    std::pair{"n_fft", &mel.n_fft},
                                    std::pair{"win_length", &mel.win_length}}) {
    if (extractor.Has(name)) *value = extractor.PositiveInteger(name);
  }
  mel.preemphasis = static_cast<float>(extractor.Number("preemphasis", mel.preemphasis));
  if (status.ok() && (!std::has_single_bit(static_cast<uint64_t>(mel.n_fft)) || mel.n_fft < 4 ||
                      mel.n_fft > kMaxFftSize || mel.win_length > mel.n_fft ||
                      mel.win_length < 2 || mel.sample_rate_hz > kMaxSampleRateHz)) {
    status = Unsupported(extractor.where() +
                         ": supported are an n_fft that is a power of two up to " +
                         std::to_string(kMaxFftSize) + ", a win_length of at most n_fft, and a "
                         "sampling_rate of at most " + std::to_string(kMaxSampleRateHz));
  }
}

void SetDefaults(EncoderConfig& config) {
  if (const auto* conformer = std::get_if<ConformerConfig>(&config.tower)) {
    config.mel.num_mel_bins = conformer->num_mel_bins;
  } else if (std::holds_alternative<Glm4vVisionConfig>(config.tower)) {
    config.image.mean = kClipMean;
    config.image.std = kClipStd;
    config.image.smart_resize = {.factor = config.image.patch_size * config.image.merge_size,
                                 .temporal_patch_size = config.image.temporal_patch_size,
                                 .bounds = kGlm4vBounds};
  }
}

// Members that are read, and members that name classes or the form of results, which do not matter
// here.
constexpr std::string_view kImageMembers[] = {
    "size",       "resize",         "image_mean",   "image_std",        "rescale_factor",
    "patch_size", "merge_size",     "resample",     "temporal_patch_size", "do_resize",
    "do_rescale", "do_normalize",   "do_convert_rgb", "image_processor_type", "processor_class",
    "auto_map",   "return_tensors", "data_format",  "input_data_format"};
constexpr std::string_view kAudioMembers[] = {
    "feature_size", "sampling_rate",          "hop_length",      "n_fft",
    "win_length",   "preemphasis",            "padding_value",   "padding_side",
    "auto_map",     "feature_extractor_type", "processor_class", "return_attention_mask"};

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Reads the settings of one modality from an object; names those that have no effect.
void ReadProcessor(const JsonObject& members, EncoderConfig& config, Status& status) {
  const bool is_image = config.modality == Modality::kImage;
  if (is_image) {
    ReadImageProcessor(members, config.image, status);
  } else {
    ReadFeatureExtractor(members, config.mel, status);
  }
  const std::span<const std::string_view> known =
      is_image ? std::span<const std::string_view>(kImageMembers) : kAudioMembers;
  for (const std::string& name : members.Names()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    config.unused_settings.push_back(members.where() + ": \"" + name + "\" has no effect here");
  }
}

// Reads processor_config.json; returns true if it has a block of the modality.
Result<bool> ReadNested(const std::string& path, const char* block, EncoderConfig& config) {
  if (!Exists(path)) return false;
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  const JsonObject root(json.value(), path, status);
  const bool has_block = root.Has(block);
  if (has_block) ReadProcessor(root.Object(block), config, status);
  if (!status.ok()) return status;
  return has_block;
}

Status ReadLegacy(const std::string& path, const char* block, EncoderConfig& config) {
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  const JsonObject root(json.value(), path, status);
  ReadProcessor(root.Has(block) ? root.Object(block) : root, config, status);
  return status;
}

}  // namespace

Status ReadPreprocessorConfig(const std::string& directory, EncoderConfig& config) {
  SetDefaults(config);
  const char* block =
      config.modality == Modality::kImage ? "image_processor" : "feature_extractor";
  const std::string nested_path = directory + "/processor_config.json";
  const std::string legacy_path = directory + "/preprocessor_config.json";
  const Result<bool> nested = ReadNested(nested_path, block, config);
  if (!nested.ok()) return nested.status();
  if (!Exists(legacy_path)) return Status();
  if (!nested.value()) return ReadLegacy(legacy_path, block, config);
  config.unused_settings.push_back(legacy_path + ": not read, because processor_config.json has \"" +
                                   block + "\"");
  return Status();
}

}  // namespace autoglm
