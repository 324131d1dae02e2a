#include <chrono>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "model/preprocess/mel.h"
#include "model/preprocess/power_spectrum.h"
#include "model/preprocess/resample.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {
namespace {

std::vector<float> Tone(double hz, int64_t rate_hz, int64_t num_samples) {
  std::vector<float> samples;
  for (int64_t i = 0; i < num_samples; ++i) {
    const double seconds = static_cast<double>(i) / static_cast<double>(rate_hz);
    samples.push_back(static_cast<float>(std::sin(2.0 * std::numbers::pi * hz * seconds)));
  }
  return samples;
}

TEST_CASE("PowerSpectrum agrees with the definition of the transform") {
  for (const int64_t length : {4, 8, 64}) {
    CAPTURE(length);
    std::vector<double> signal;
    for (int64_t i = 0; i < length; ++i) signal.push_back(static_cast<double>(i * 7 % 11) - 4.5);
    const PowerSpectrum spectrum(length);
    std::vector<PowerSpectrum::Complex> scratch;
    std::vector<double> power(static_cast<size_t>(spectrum.num_bins()));

    spectrum.Compute(signal.data(), scratch, power.data());

    for (int64_t bin = 0; bin < spectrum.num_bins(); ++bin) {
      std::complex<double> sum = 0.0;
      for (int64_t i = 0; i < length; ++i) {
        sum += std::polar(signal[static_cast<size_t>(i)],
                          -2.0 * std::numbers::pi * static_cast<double>(bin * i % length) /
                              static_cast<double>(length));
      }
      CHECK_EQ(power[static_cast<size_t>(bin)], doctest::Approx(std::norm(sum)).epsilon(1e-9));
    }
  }
}

TEST_CASE("SlaneyMelFilters have unit area and cover every band") {
  const MelConfig config;
  const std::vector<double> filters = SlaneyMelFilters(config);
  const int64_t num_bins = config.n_fft / 2 + 1;
  const double hz_per_bin = 16000.0 / 512.0;

  for (int64_t band = 0; band < config.num_mel_bins; ++band) {
    CAPTURE(band);
    double area = 0.0;
    for (int64_t bin = 0; bin < num_bins; ++bin) {
      area += filters[static_cast<size_t>(band * num_bins + bin)] * hz_per_bin;
    }
    // Narrow triangles are sampled at one or two bins.
    CHECK_GT(area, 0.5);
    CHECK_LT(area, 1.5);
  }
}

TEST_CASE("LogMel gives every band zero mean and unit variance over the utterance") {
  ThreadPool threads({});
  const LogMel log_mel{MelConfig()};
  std::vector<float> samples = Tone(440.0, 16000, 8000);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] *= static_cast<float>(i % 1600) / 1600.0f;
  std::vector<float> mel(50 * 80);

  log_mel.Compute(samples, threads, mel.data());

  for (size_t band = 0; band < 80; ++band) {
    double sum = 0.0;
    double squares = 0.0;
    for (size_t frame = 0; frame < 50; ++frame) {
      const double value = mel[frame * 80 + band];
      sum += value;
      squares += value * value;
    }
    CHECK_EQ(sum / 50.0, doctest::Approx(0.0).epsilon(1e-4));
    CHECK_EQ(squares / 49.0, doctest::Approx(1.0).epsilon(1e-3));
  }
}

TEST_CASE("LogMel turns silence into zeros") {
  ThreadPool threads({});
  const LogMel log_mel{MelConfig()};
  std::vector<float> mel(4 * 80, 1.0f);

  log_mel.Compute(std::vector<float>(640, 0.0f), threads, mel.data());

  CHECK_EQ(mel, std::vector<float>(4 * 80, 0.0f));
}

// Returns the largest deviation from a tone of the same frequency, away from the ends.
double ToneError(const std::vector<float>& resampled, double hz) {
  const std::vector<float> expected =
      Tone(hz, 16000, static_cast<int64_t>(resampled.size()));
  double error = 0.0;
  for (size_t i = 1000; i + 1000 < resampled.size(); ++i) {
    error = std::max(error, std::fabs(static_cast<double>(resampled[i]) - expected[i]));
  }
  return error;
}

TEST_CASE("Resampler keeps tones below both Nyquist frequencies within -80 dB") {
  ThreadPool threads({});
  for (const int64_t from_hz : {8000, 11025, 22050, 44100, 48000, 96000}) {
    CAPTURE(from_hz);
    const Result<Resampler> resampler = Resampler::Create({.from_hz = from_hz, .to_hz = 16000});
    REQUIRE(resampler.ok());

    for (const double hz : {100.0, 1000.0, 3400.0}) {
      const std::vector<float> resampled =
          resampler.value().Resample(Tone(hz, from_hz, from_hz / 2), threads);

      CHECK_EQ(resampled.size(), 8000);
      CHECK_LT(ToneError(resampled, hz), 1e-4);
    }
  }
}

TEST_CASE("Resampler removes what lies above the output's Nyquist frequency") {
  ThreadPool threads({});
  const Result<Resampler> resampler = Resampler::Create({.from_hz = 48000, .to_hz = 16000});
  REQUIRE(resampler.ok());

  const std::vector<float> resampled =
      resampler.value().Resample(Tone(9000.0, 48000, 24000), threads);

  for (size_t i = 1000; i < 7000; ++i) CHECK_LT(std::fabs(resampled[i]), 1e-4f);
}

TEST_CASE("Resampler keeps a constant exactly level inside the recording") {
  ThreadPool threads({});
  const Result<Resampler> resampler = Resampler::Create({.from_hz = 44100, .to_hz = 16000});
  REQUIRE(resampler.ok());

  const std::vector<float> resampled =
      resampler.value().Resample(std::vector<float>(44100, 0.25f), threads);

  for (size_t i = 500; i < 15500; ++i) CHECK_EQ(resampled[i], doctest::Approx(0.25f));
}

TEST_CASE("Resampler keeps tones at rates that have a phase for every sample") {
  ThreadPool threads({});
  for (const int64_t from_hz : {4001, 15999, 16001, 44099, 191999}) {
    CAPTURE(from_hz);
    const Result<Resampler> resampler = Resampler::Create({.from_hz = from_hz, .to_hz = 16000});
    REQUIRE(resampler.ok());
    const std::vector<float> samples =
        resampler.value().Resample(Tone(1000.0, from_hz, from_hz / 2), threads);
    const std::vector<float> expected = Tone(1000.0, 16000, 8000);
    for (size_t i = 1000; i < 7000; ++i) CHECK_LT(std::fabs(samples[i] - expected[i]), 1e-4f);
  }
}

TEST_CASE("Resampler makes taps only for the samples there are") {
  ThreadPool threads({});
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    const Result<Resampler> resampler = Resampler::Create({.from_hz = 191999, .to_hz = 16000});
    REQUIRE(resampler.ok());
    CHECK_EQ(resampler.value().Resample(std::vector<float>(100), threads).size(), 9);
  }
  // All taps of these rates take 5 s each time.
  CHECK_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_CASE("Resampler rounds a fraction of a sample up") {
  CHECK_EQ(NumResampledSamples({.from_hz = 48000, .to_hz = 16000}, 4), 2);
  CHECK_EQ(NumResampledSamples({.from_hz = 48000, .to_hz = 16000}, 0), 0);
  CHECK_EQ(NumResampledSamples({.from_hz = 8000, .to_hz = 16000}, 3), 6);
}

TEST_CASE("Resampler refuses rates it has no filter for") {
  for (const int64_t from_hz : {0, 3999, 192001}) {
    const Result<Resampler> resampler = Resampler::Create({.from_hz = from_hz, .to_hz = 16000});

    REQUIRE_FALSE(resampler.ok());
    CHECK_EQ(resampler.status().reason(), Reason::kInvalidRequest);
  }
}

}  // namespace
}  // namespace autoglm
