#include "model/encoder/preprocessor_config.h"

#include <unistd.h>

#include <bit>
#include <utility>
#include <vector>

#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

constexpr std::array<float, kNumImageChannels> kClipMean = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr std::array<float, kNumImageChannels> kClipStd = {0.26862954f, 0.26130258f, 0.27577711f};

// Default bounds of Glm4vImageProcessor.
constexpr PixelBounds kGlm4vBounds = {.min_volume = 112 * 112, .max_volume = 28 * 28 * 15000};

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

void ReadFixedSize(const JsonObject& processor, const ImageSize& size, Status& status) {
  const char* name = processor.Has("resize") ? "resize" : "size";
  if (!processor.Has(name)) return;
  const JsonObject block = processor.Object(name);
  CheckEqual(block, "height", size.height, status);
  CheckEqual(block, "width", size.width, status);
  CheckResample(block, status);
}

void ReadBounds(const JsonObject& processor, SmartResizeRule& rule) {
  if (!processor.Has("size")) return;
  const JsonObject size = processor.Object("size");
  rule.bounds.min_volume = size.PositiveInteger("shortest_edge");
  rule.bounds.max_volume = size.PositiveInteger("longest_edge");
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
  if (image.fixed_size.has_value()) {
    ReadFixedSize(processor, *image.fixed_size, status);
  } else {
    ReadBounds(processor, image.smart_resize);
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
                      mel.win_length > mel.n_fft || mel.win_length < 2)) {
    status = Unsupported(extractor.where() +
                         ": supported are an n_fft that is a power of two and a win_length of at "
                         "most n_fft");
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

}  // namespace

Status ReadPreprocessorConfig(const std::string& directory, EncoderConfig& config) {
  SetDefaults(config);
  const std::string path = directory + "/preprocessor_config.json";
  if (access(path.c_str(), F_OK) != 0) return Status();
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  const JsonObject root(json.value(), path, status);
  const Modality modality = config.modality;
  const char* block = modality == Modality::kImage ? "image_processor" : "feature_extractor";
  const JsonObject members = root.Has(block) ? root.Object(block) : root;
  if (modality == Modality::kImage) {
    ReadImageProcessor(members, config.image, status);
  } else {
    ReadFeatureExtractor(members, config.mel, status);
  }
  return status;
}

}  // namespace autoglm
