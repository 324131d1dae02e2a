#include "model/media_preprocess.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "model/resample.h"

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

Result<Grid> MediaPreprocessor::PlanGrid(const ItemFacts& facts) const {
  if (const auto* image = std::get_if<ImageFacts>(&facts)) return PlanImage(*image);
  return PlanAudio(std::get<AudioFacts>(facts));
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

Result<MediaPreprocessor::Features> MediaPreprocessor::Prepare(const MediaItem& item,
                                                               ThreadPool& threads) const {
  if (const auto* image = std::get_if<ImageInput>(&item.input)) {
    return PrepareImage(*image, threads);
  }
  if (const auto* audio = std::get_if<AudioInput>(&item.input)) {
    return PrepareAudio(*audio, threads);
  }
  return CheckFeatures(std::get<FeatureInput>(item.input));
}

Result<MediaPreprocessor::Features> MediaPreprocessor::PrepareImage(const ImageInput& input,
                                                                    ThreadPool& threads) const {
  const Result<Grid> grid = PlanImage({input.image.size, input.max_pixels});
  if (!grid.ok()) return grid.status();
  const ImageSize size = {grid.value().h * config_.image.patch_size,
                          grid.value().w * config_.image.patch_size};
  Features features = {.grid = grid.value(), .values = {}};
  features.values.resize(
      static_cast<size_t>(grid.value().NumCells() * config_.image.PatchValues()));
  PreprocessImage(config_.image, input.image, size, threads, features.values.data());
  return features;
}

Result<MediaPreprocessor::Features> MediaPreprocessor::PrepareAudio(const AudioInput& input,
                                                                    ThreadPool& threads) const {
  const Result<Grid> grid =
      PlanAudio({static_cast<int64_t>(input.samples.size()), input.sample_rate_hz});
  if (!grid.ok()) return grid.status();
  for (const float sample : input.samples) {
    if (!std::isfinite(sample)) return InvalidRequest("the recording has samples that are no number");
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
  Features features = {.grid = grid.value(), .values = {}};
  features.values.resize(static_cast<size_t>(grid.value().t * config_.mel.num_mel_bins));
  log_mel_->Compute(samples, threads, features.values.data());
  return features;
}

Result<MediaPreprocessor::Features> MediaPreprocessor::CheckFeatures(
    const FeatureInput& input) const {
  const int64_t values_per_cell = config_.modality == Modality::kImage
                                      ? config_.image.PatchValues()
                                      : config_.mel.num_mel_bins;
  const Grid& grid = input.grid;
  const bool fits = config_.modality == Modality::kImage
                        ? grid.t == 1 && grid.h > 0 && grid.w > 0 &&
                              grid.h % config_.image.merge_size == 0 &&
                              grid.w % config_.image.merge_size == 0
                        : grid.h == 1 && grid.w == 1 && grid.t > 0 &&
                              grid.t <= config_.MaxMelFrames();
  const bool is_fixed = config_.image.fixed_size.has_value();
  if (!fits || (is_fixed && grid != PatchGrid(config_.image, *config_.image.fixed_size)) ||
      static_cast<int64_t>(input.values.size()) != grid.NumCells() * values_per_cell) {
    return InvalidRequest("the features do not fit the grid or the model");
  }
  return Features{grid, {input.values.begin(), input.values.end()}};
}

}  // namespace autoglm
