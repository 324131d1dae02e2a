#include "model/encoder/media_preprocess.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "model/preprocess/resample.h"

namespace autoglm {
namespace {

// With fewer frames the features have no variance to divide by.
constexpr int64_t kMinMelFrames = 2;

std::string SecondsText(double seconds) {
  std::string text = std::to_string(seconds);
  text.resize(text.find('.') + 3);
  return text + " s";
}

// Sides are rounded up to at least one factor, so a plan's picture may exceed the checkpoint's
// bound. A picture that exceeds it by this factor came from no plan, and is refused before its
// memory is allocated.
constexpr int64_t kPlanAllowance = 4;
constexpr int64_t kMinBoundRows = 256;

int64_t MaxRows(const SmartResizeRule& rule) {
  return std::max(kMinBoundRows, rule.bounds.max_volume /
                                     (rule.temporal_patch_size * rule.factor * rule.factor));
}

Status NotForSpeech() { return InvalidRequest("an image was sent to a speech encoder"); }
Status NotForVision() { return InvalidRequest("a recording was sent to a vision encoder"); }

}  // namespace

MediaPreprocessor::MediaPreprocessor(const EncoderConfig& config) : config_(config) {
  if (config.modality == Modality::kAudio) log_mel_.emplace(config.mel);
}

Result<ItemPlan> MediaPreprocessor::Plan(const ItemFacts& facts) const {
  const ImageFacts* image = std::get_if<ImageFacts>(&facts);
  const Result<Grid> grid =
      image != nullptr ? PlanImage(*image) : PlanAudio(std::get<AudioFacts>(facts));
  if (!grid.ok()) return grid.status();
  return config_.PlanOf(grid.value());
}

Result<ItemPlan> MediaPreprocessor::PlanOf(const MediaItem& item) const {
  const bool is_image = config_.modality == Modality::kImage;
  if (is_image && std::holds_alternative<AudioInput>(item.input)) return NotForVision();
  if (!is_image && std::holds_alternative<ImageInput>(item.input)) return NotForSpeech();
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    const Status rates = CheckSampleRate(audio->sample_rate_hz);
    if (!rates.ok()) return rates;
  }
  if (!FitsModel(item.grid) || !FitsInput(item)) {
    return InvalidRequest("the grid does not fit the item or the model");
  }
  return config_.PlanOf(item.grid);
}

bool MediaPreprocessor::FitsModel(const Grid& grid) const {
  if (config_.modality == Modality::kAudio) {
    return grid.h == 1 && grid.w == 1 && grid.t >= MinMelFrames() &&
           grid.t <= config_.MaxMelFrames();
  }
  if (config_.image.fixed_size.has_value()) {
    return grid == PatchGrid(config_.image, *config_.image.fixed_size);
  }
  const int64_t merge = config_.image.merge_size;
  const int64_t max_cells = kPlanAllowance * merge * merge * MaxRows(config_.image.smart_resize);
  return grid.t == 1 && grid.h > 0 && grid.w > 0 && grid.h % merge == 0 && grid.w % merge == 0 &&
         grid.w <= max_cells / grid.h;
}

bool MediaPreprocessor::FitsInput(const MediaItem& item) const {
  if (const auto* image = std::get_if<ImageInput>(&item.input)) {
    return image->image.size.height > 0 && image->image.size.width > 0;
  }
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    const int64_t num_samples = static_cast<int64_t>(audio->samples.size());
    return item.grid.t == NumMelFrames(num_samples, audio->sample_rate_hz);
  }
  const int64_t num_values =
      static_cast<int64_t>(std::get<FeatureInput>(item.input).values.size());
  const int64_t values_per_cell = config_.modality == Modality::kImage
                                      ? config_.image.PatchValues()
                                      : config_.mel.num_mel_bins;
  return num_values == item.grid.NumCells() * values_per_cell;
}

int64_t MediaPreprocessor::MinMelFrames() const {
  return std::max(kMinMelFrames, config_.MinMelFrames());
}

int64_t MediaPreprocessor::NumMelFrames(int64_t num_samples, int64_t sample_rate_hz) const {
  return log_mel_->NumFrames(NumResampledSamples(
      {.from_hz = sample_rate_hz, .to_hz = config_.mel.sample_rate_hz}, num_samples));
}

Result<Grid> MediaPreprocessor::PlanImage(const ImageFacts& facts) const {
  if (config_.modality != Modality::kImage) {
    return NotForSpeech();
  }
  const Result<ImageSize> size = PlanImageSize(config_.image, facts.size, facts.limits);
  if (!size.ok()) return size.status();
  return PatchGrid(config_.image, size.value());
}

Result<Grid> MediaPreprocessor::PlanAudio(const AudioFacts& facts) const {
  if (config_.modality != Modality::kAudio) {
    return NotForVision();
  }
  const int64_t rate_hz = config_.mel.sample_rate_hz;
  const Status rates = CheckSampleRate(facts.sample_rate_hz);
  if (!rates.ok()) return rates;
  const Grid grid = {
      .t = NumMelFrames(facts.num_samples, facts.sample_rate_hz), .h = 1, .w = 1};

  const double seconds_per_frame =
      static_cast<double>(config_.mel.hop_length) / static_cast<double>(rate_hz);
  const double seconds =
      static_cast<double>(facts.num_samples) / static_cast<double>(facts.sample_rate_hz);
  const int64_t min_frames = MinMelFrames();
  const int64_t max_frames = config_.MaxMelFrames();
  if (grid.t < min_frames) {
    return InvalidRequest(
        "the recording lasts " + SecondsText(seconds) + "; the encoder needs at least " +
        SecondsText(static_cast<double>(min_frames) * seconds_per_frame));
  }
  if (grid.t > max_frames) {
    return InvalidRequest(
        "the recording lasts " + SecondsText(seconds) + "; the encoder takes at most " +
        SecondsText(static_cast<double>(max_frames) * seconds_per_frame));
  }
  return grid;
}

Result<std::vector<float>> MediaPreprocessor::Prepare(const MediaItem& item,
                                                      const ImageWorkers& workers) const {
  if (const auto* image = std::get_if<ImageInput>(&item.input)) {
    return PrepareImage(*image, item.grid, workers);
  }
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    return PrepareAudio(*audio, item.grid, workers.threads);
  }
  const std::span<const float> values = std::get<FeatureInput>(item.input).values;
  return std::vector<float>(values.begin(), values.end());
}

std::vector<float> MediaPreprocessor::PrepareImage(const ImageInput& input, const Grid& grid,
                                                   const ImageWorkers& workers) const {
  const ImageSize size = {grid.h * config_.image.patch_size, grid.w * config_.image.patch_size};
  std::vector<float> patches(static_cast<size_t>(grid.NumCells() * config_.image.PatchValues()));
  PreprocessImage(config_.image, input.image, size, workers, patches.data());
  return patches;
}

Result<std::vector<float>> MediaPreprocessor::PrepareAudio(const AudioInput& input,
                                                           const Grid& grid,
                                                           ThreadPool& threads) const {
  for (const float sample : input.samples) {
    if (std::isfinite(sample)) continue;
    return InvalidRequest("the recording has samples that are not finite numbers");
  }
  std::vector<float> resampled;
  std::span<const float> samples = input.samples;
  if (input.sample_rate_hz != config_.mel.sample_rate_hz) {
    const Result<Resampler> resampler = Resampler::Create(
        {.from_hz = input.sample_rate_hz, .to_hz = config_.mel.sample_rate_hz});
    if (!resampler.ok()) return resampler.status();
    resampled = resampler.value().Resample(input.samples, threads);
    samples = resampled;
  }
  std::vector<float> mel(static_cast<size_t>(grid.t * config_.mel.num_mel_bins));
  log_mel_->Compute(samples, threads, mel.data());
  return mel;
}

}  // namespace autoglm
