#include "model/encoder/media_preprocess.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "model/preprocess/resample.h"

namespace autoglm {
namespace {

// With fewer the features have no variance to be divided by.
constexpr int64_t kMinMelFrames = 2;

std::string SecondsText(double seconds) {
  std::string text = std::to_string(seconds);
  text.resize(text.find('.') + 3);
  return text + " s";
}

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

Result<ItemPlan> MediaPreprocessor::Plan(const MediaItem& item) const {
  if (const auto* image = std::get_if<ImageInput>(&item.input)) {
    return Plan(ImageFacts{image->image.size, image->max_pixels});
  }
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    return Plan(AudioFacts{static_cast<int64_t>(audio->samples.size()), audio->sample_rate_hz});
  }
  const Result<Grid> grid = PlanFeatures(std::get<FeatureInput>(item.input));
  if (!grid.ok()) return grid.status();
  return config_.PlanOf(grid.value());
}

Result<Grid> MediaPreprocessor::PlanImage(const ImageFacts& facts) const {
  if (config_.modality != Modality::kImage) {
    return InvalidRequest("an image was sent to a speech encoder");
  }
  const Result<ImageSize> size = PlanImageSize(config_.image, facts.size, facts.max_pixels);
  if (!size.ok()) return size.status();
  return PatchGrid(config_.image, size.value());
}

Result<Grid> MediaPreprocessor::PlanAudio(const AudioFacts& facts) const {
  if (config_.modality != Modality::kAudio) {
    return InvalidRequest("a recording was sent to a vision encoder");
  }
  const int64_t rate_hz = config_.mel.sample_rate_hz;
  const Status rates = CheckSampleRate(facts.sample_rate_hz);
  if (!rates.ok()) return rates;
  const int64_t num_samples = NumResampledSamples(
      {.from_hz = facts.sample_rate_hz, .to_hz = rate_hz}, facts.num_samples);
  const Grid grid = {.t = log_mel_->NumFrames(num_samples), .h = 1, .w = 1};

  const double seconds_per_frame =
      static_cast<double>(config_.mel.hop_length) / static_cast<double>(rate_hz);
  const double seconds =
      static_cast<double>(facts.num_samples) / static_cast<double>(facts.sample_rate_hz);
  const int64_t min_frames = std::max(kMinMelFrames, config_.MinMelFrames());
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

Result<Grid> MediaPreprocessor::PlanFeatures(const FeatureInput& input) const {
  const Grid& grid = input.grid;
  const bool is_image = config_.modality == Modality::kImage;
  const int64_t merge = config_.image.merge_size;
  const bool fits = is_image ? grid.t == 1 && grid.h > 0 && grid.w > 0 && grid.h % merge == 0 &&
                                   grid.w % merge == 0
                             : grid.h == 1 && grid.w == 1 && grid.t > 0 &&
                                   grid.t <= config_.MaxMelFrames();
  const bool has_size = !config_.image.fixed_size.has_value() ||
                        grid == PatchGrid(config_.image, *config_.image.fixed_size);
  const int64_t values_per_cell =
      is_image ? config_.image.PatchValues() : config_.mel.num_mel_bins;
  const int64_t num_cells = static_cast<int64_t>(input.values.size()) / values_per_cell;
  if (!fits || !has_size || num_cells != grid.NumCells() ||
      num_cells * values_per_cell != static_cast<int64_t>(input.values.size())) {
    return InvalidRequest("the features do not fit the grid or the model");
  }
  return grid;
}

Result<std::vector<float>> MediaPreprocessor::Prepare(const MediaItem& item, const Grid& grid,
                                                      ThreadPool& threads) const {
  if (const auto* image = std::get_if<ImageInput>(&item.input)) {
    return PrepareImage(*image, grid, threads);
  }
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    return PrepareAudio(*audio, grid, threads);
  }
  const std::span<const float> values = std::get<FeatureInput>(item.input).values;
  return std::vector<float>(values.begin(), values.end());
}

std::vector<float> MediaPreprocessor::PrepareImage(const ImageInput& input, const Grid& grid,
                                                   ThreadPool& threads) const {
  const ImageSize size = {grid.h * config_.image.patch_size, grid.w * config_.image.patch_size};
  std::vector<float> patches(static_cast<size_t>(grid.NumCells() * config_.image.PatchValues()));
  PreprocessImage(config_.image, input.image, size, threads, patches.data());
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
