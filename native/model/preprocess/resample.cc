#include "model/preprocess/resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <string>

namespace autoglm {
namespace {

// Zero crossings of the sinc on each side, Kaiser's beta for 90 dB, and the cut-off as a fraction
// of the lower Nyquist frequency. With these numbers the stop band begins at that frequency.
constexpr double kZeroCrossings = 64.0;
constexpr double kKaiserBeta = 8.96;
constexpr double kCutoff = 0.955;
constexpr int64_t kSamplesPerTask = 4096;

// Most phases whose taps are computed beforehand: 11,025 Hz to 16 kHz has 640.
constexpr int64_t kMaxPhases = 1024;
// Places per zero crossing of the table that is interpolated. Linear interpolation is then wrong by
// at most 5e-6 of the peak (-106 dB).
constexpr int64_t kTableDensity = 512;

// The lowest and highest rate of common recordings; they bound the size of a filter.
constexpr int64_t kMinHz = 4000;
constexpr int64_t kMaxHz = 192000;

// Returns the modified Bessel function of the first kind, order 0, by its power series.
double BesselI0(double x) {
  double sum = 1.0;
  double term = 1.0;
  for (int k = 1; term > 1e-18 * sum; ++k) {
    term *= (x / (2.0 * k)) * (x / (2.0 * k));
    sum += term;
  }
  return sum;
}

// Returns the impulse response at a distance of `crossings` zero crossings.
double WindowedSinc(double crossings) {
  const double position = crossings / kZeroCrossings;
  if (std::fabs(position) >= 1.0) return 0.0;
  const double window =
      BesselI0(kKaiserBeta * std::sqrt(1.0 - position * position)) / BesselI0(kKaiserBeta);
  const double angle = std::numbers::pi * crossings;
  return window * (angle == 0.0 ? 1.0 : std::sin(angle) / angle);
}

// Returns the impulse response at distances of i / kTableDensity zero crossings, and one place more.
const std::vector<float>& WindowTable() {
  static const std::vector<float> table = [] {
    std::vector<float> values(static_cast<size_t>(kZeroCrossings) * kTableDensity + 2);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(WindowedSinc(static_cast<double>(i) / kTableDensity));
    }
    return values;
  }();
  return table;
}

}  // namespace

Status CheckSampleRate(int64_t hz) {
  if (hz >= kMinHz && hz <= kMaxHz) return Status();
  return InvalidRequest("a sample rate of " + std::to_string(hz) + " Hz is outside " +
                        std::to_string(kMinHz) + ".." + std::to_string(kMaxHz) + " Hz");
}

int64_t NumResampledSamples(const SampleRates& rates, int64_t num_input_samples) {
  // The number is rounded up, so that every instant before the recording's end has its sample.
  return (num_input_samples * rates.to_hz + rates.from_hz - 1) / rates.from_hz;
}

Result<Resampler> Resampler::Create(const SampleRates& rates) {
  for (const int64_t hz : {rates.from_hz, rates.to_hz}) {
    const Status status = CheckSampleRate(hz);
    if (!status.ok()) return status;
  }
  return Resampler(rates);
}

Resampler::Resampler(const SampleRates& rates) {
  const int64_t divisor = std::gcd(rates.from_hz, rates.to_hz);
  up_ = rates.to_hz / divisor;
  down_ = rates.from_hz / divisor;
  // Still less if the output's Nyquist frequency is the lower one and decides the cut-off.
  density_ = kCutoff * std::min(1.0, static_cast<double>(up_) / static_cast<double>(down_));
  half_taps_ = static_cast<int64_t>(std::ceil(kZeroCrossings / density_)) + 1;
  if (up_ <= kMaxPhases) ComputeTaps();
}

void Resampler::ComputeTaps() {
  taps_.resize(static_cast<size_t>(up_ * 2 * half_taps_));
  for (int64_t phase = 0; phase < up_; ++phase) {
    // The output lies phase / up after input sample 0; tap t is input sample t - half_taps + 1.
    const double offset = static_cast<double>(phase) / static_cast<double>(up_);
    float* taps = taps_.data() + phase * 2 * half_taps_;
    double sum = 0.0;
    for (int64_t tap = 0; tap < 2 * half_taps_; ++tap) {
      const double distance = static_cast<double>(tap - half_taps_ + 1) - offset;
      const double value = WindowedSinc(distance * density_);
      taps[tap] = static_cast<float>(value);
      sum += value;
    }
    // The taps are normalised so that a constant stays exactly that constant at every phase.
    for (int64_t tap = 0; tap < 2 * half_taps_; ++tap) {
      taps[tap] = static_cast<float>(taps[tap] / sum);
    }
  }
}

float Resampler::OutputSample(std::span<const float> samples, int64_t index) const {
  const int64_t position = index * down_;
  const float* taps = taps_.data() + position % up_ * 2 * half_taps_;
  const int64_t first = position / up_ - half_taps_ + 1;
  const int64_t begin = std::max<int64_t>(0, first);
  const int64_t end =
      std::min(static_cast<int64_t>(samples.size()), first + 2 * half_taps_);
  float sum = 0.0f;
  for (int64_t i = begin; i < end; ++i) sum += samples[static_cast<size_t>(i)] * taps[i - first];
  return sum;
}

float Resampler::InterpolatedSample(std::span<const float> samples, int64_t index) const {
  const std::vector<float>& table = WindowTable();
  const int64_t position = index * down_;
  const int64_t first = position / up_ - half_taps_ + 1;
  const double offset = static_cast<double>(position % up_) / static_cast<double>(up_);
  const int64_t num_samples = static_cast<int64_t>(samples.size());
  float sum = 0.0f;
  float sum_of_taps = 0.0f;
  for (int64_t tap = 0; tap < 2 * half_taps_; ++tap) {
    const double distance = std::fabs(static_cast<double>(tap - half_taps_ + 1) - offset);
    const double place = distance * density_ * kTableDensity;
    const size_t below = static_cast<size_t>(place);
    if (below + 1 >= table.size()) continue;
    const float fraction = static_cast<float>(place - static_cast<double>(below));
    const float value = table[below] + fraction * (table[below + 1] - table[below]);
    sum_of_taps += value;
    const int64_t i = first + tap;
    if (i >= 0 && i < num_samples) sum += value * samples[static_cast<size_t>(i)];
  }
  return sum / sum_of_taps;
}

std::vector<float> Resampler::Resample(std::span<const float> samples, ThreadPool& threads) const {
  const int64_t num_outputs = NumResampledSamples({.from_hz = down_, .to_hz = up_},
                                                  static_cast<int64_t>(samples.size()));
  std::vector<float> resampled(static_cast<size_t>(num_outputs));
  threads.ParallelFor((num_outputs + kSamplesPerTask - 1) / kSamplesPerTask, [&](int64_t task) {
    const int64_t end = std::min(num_outputs, (task + 1) * kSamplesPerTask);
    for (int64_t i = task * kSamplesPerTask; i < end; ++i) {
      resampled[static_cast<size_t>(i)] =
          taps_.empty() ? InterpolatedSample(samples, i) : OutputSample(samples, i);
    }
  });
  return resampled;
}

}  // namespace autoglm
