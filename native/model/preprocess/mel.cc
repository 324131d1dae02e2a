#include "model/preprocess/mel.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "base/check.h"

namespace autoglm {
namespace {

constexpr double kLogGuard = 0x1p-24;      // keeps the logarithm of silence finite
constexpr double kDeviationGuard = 1e-5;   // keeps a constant band finite
constexpr int64_t kFramesPerTask = 64;

// The scale of Slaney's Auditory Toolbox: 3 mels per 200 Hz up to 1 kHz, then 27 mels per factor of
// 6.4.
constexpr double kHzPerMel = 200.0 / 3.0;
constexpr double kBreakHz = 1000.0;
constexpr double kBreakMel = kBreakHz / kHzPerMel;
const double kLogStep = std::log(6.4) / 27.0;

double HzToMel(double hz) {
  return hz < kBreakHz ? hz / kHzPerMel : kBreakMel + std::log(hz / kBreakHz) / kLogStep;
}

double MelToHz(double mel) {
  return mel < kBreakMel ? mel * kHzPerMel : kBreakHz * std::exp(kLogStep * (mel - kBreakMel));
}

// Returns a symmetric window: both ends are zero.
std::vector<double> HannWindow(int64_t length) {
  std::vector<double> window;
  for (int64_t i = 0; i < length; ++i) {
    const double phase = static_cast<double>(i) / static_cast<double>(length - 1);
    window.push_back(0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * phase));
  }
  return window;
}

}  // namespace

std::vector<double> SlaneyMelFilters(const MelConfig& config) {
  const int64_t num_bins = config.n_fft / 2 + 1;
  const double nyquist_hz = static_cast<double>(config.sample_rate_hz) / 2.0;
  const double max_mel = HzToMel(nyquist_hz);
  std::vector<double> edges_hz;  // [num_mel_bins + 2]
  for (int64_t i = 0; i < config.num_mel_bins + 2; ++i) {
    edges_hz.push_back(
        MelToHz(max_mel * static_cast<double>(i) / static_cast<double>(config.num_mel_bins + 1)));
  }

  std::vector<double> filters(static_cast<size_t>(config.num_mel_bins * num_bins));
  for (int64_t band = 0; band < config.num_mel_bins; ++band) {
    const double low = edges_hz[static_cast<size_t>(band)];
    const double centre = edges_hz[static_cast<size_t>(band) + 1];
    const double high = edges_hz[static_cast<size_t>(band) + 2];
    for (int64_t bin = 0; bin < num_bins; ++bin) {
      const double hz = nyquist_hz * static_cast<double>(bin) / static_cast<double>(num_bins - 1);
      const double height = std::min((hz - low) / (centre - low), (high - hz) / (high - centre));
      filters[static_cast<size_t>(band * num_bins + bin)] =
          std::max(0.0, height) * 2.0 / (high - low);
    }
  }
  return filters;
}

struct LogMel::Scratch {
  std::vector<double> signal;  // [n_fft]
  std::vector<double> power;   // [n_fft / 2 + 1]
  std::vector<PowerSpectrum::Complex> transform;
};

LogMel::LogMel(const MelConfig& config)
    : config_(config), spectrum_(config.n_fft), window_(HannWindow(config.win_length)) {
  CHECK(config.win_length <= config.n_fft);
  const std::vector<double> filters = SlaneyMelFilters(config);
  const int64_t num_bins = spectrum_.num_bins();
  for (int64_t band = 0; band < config.num_mel_bins; ++band) {
    const auto begin = filters.begin() + band * num_bins;
    const auto is_set = [](double weight) { return weight > 0.0; };
    const auto first = std::find_if(begin, begin + num_bins, is_set);
    const auto end = std::find_if_not(first, begin + num_bins, is_set);
    bands_.push_back({first - begin, std::vector<double>(first, end)});
  }
}

// Computes frame f, which is centred on sample f * hop_length; samples outside the utterance are
// zeros.
void LogMel::ComputeFrame(std::span<const float> samples, int64_t frame, Scratch& scratch,
                          float* mel) const {
  const int64_t num_samples = static_cast<int64_t>(samples.size());
  const int64_t begin = frame * config_.hop_length - config_.win_length / 2;
  const int64_t pad = (config_.n_fft - config_.win_length) / 2;
  scratch.signal.assign(static_cast<size_t>(config_.n_fft), 0.0);
  scratch.power.resize(static_cast<size_t>(spectrum_.num_bins()));
  for (int64_t i = 0; i < config_.win_length; ++i) {
    const int64_t at = begin + i;
    if (at < 0 || at >= num_samples) continue;
    const float* sample = samples.data() + at;
    const float emphasised = at == 0 ? sample[0] : sample[0] - config_.preemphasis * sample[-1];
    scratch.signal[static_cast<size_t>(pad + i)] = emphasised * window_[static_cast<size_t>(i)];
  }
  spectrum_.Compute(scratch.signal.data(), scratch.transform, scratch.power.data());
  for (size_t band = 0; band < bands_.size(); ++band) {
    const double* power = scratch.power.data() + bands_[band].first_bin;
    double sum = 0.0;
    for (size_t i = 0; i < bands_[band].weights.size(); ++i) {
      sum += bands_[band].weights[i] * power[i];
    }
    mel[band] = static_cast<float>(std::log(sum + kLogGuard));
  }
}

void LogMel::NormaliseBand(int64_t num_frames, int64_t band, float* mel) const {
  float* column = mel + band;
  const int64_t stride = config_.num_mel_bins;
  double sum = 0.0;
  for (int64_t frame = 0; frame < num_frames; ++frame) sum += column[frame * stride];
  const double mean = sum / static_cast<double>(num_frames);
  double squares = 0.0;
  for (int64_t frame = 0; frame < num_frames; ++frame) {
    const double deviation = column[frame * stride] - mean;
    squares += deviation * deviation;
  }
  const double deviation = std::sqrt(squares / static_cast<double>(num_frames - 1));
  for (int64_t frame = 0; frame < num_frames; ++frame) {
    const double centred = column[frame * stride] - mean;
    column[frame * stride] = static_cast<float>(centred / (deviation + kDeviationGuard));
  }
}

void LogMel::Compute(std::span<const float> samples, ThreadPool& threads, float* mel) const {
  const int64_t num_frames = NumFrames(static_cast<int64_t>(samples.size()));
  CHECK(num_frames >= 2);
  threads.ParallelFor((num_frames + kFramesPerTask - 1) / kFramesPerTask, [&](int64_t task) {
    Scratch scratch;
    const int64_t end = std::min(num_frames, (task + 1) * kFramesPerTask);
    for (int64_t frame = task * kFramesPerTask; frame < end; ++frame) {
      ComputeFrame(samples, frame, scratch, mel + frame * config_.num_mel_bins);
    }
  });
  threads.ParallelFor(config_.num_mel_bins,
                      [&](int64_t band) { NormaliseBand(num_frames, band, mel); });
}

}  // namespace autoglm
