#ifndef AUTOGLM_MODEL_MEL_H_
#define AUTOGLM_MODEL_MEL_H_

#include <cstdint>
#include <span>
#include <vector>

#include "device/thread_pool.h"
#include "model/preprocess/power_spectrum.h"

namespace autoglm {

// Parameters of a feature extractor, as preprocessor_config.json names them.
struct MelConfig {
  int64_t num_mel_bins = 80;
  int64_t sample_rate_hz = 16000;
  int64_t hop_length = 160;  // samples
  int64_t n_fft = 512;       // a power of two
  int64_t win_length = 400;  // samples, at most n_fft
  float preemphasis = 0.97f;
};

// Returns triangular filters, evenly spaced on the slaney scale (linear below 1 kHz, logarithmic
// above), each of unit area, from 0 Hz to half the sample rate. Row-major [num_mel_bins, n_fft / 2
// + 1].
std::vector<double> SlaneyMelFilters(const MelConfig& config);

// The log-mel features of ParakeetFeatureExtractor: pre-emphasis, short-time spectrum under a
// symmetric Hann window, mel filters, logarithm, then zero mean and unit variance of each band over
// the utterance.
class LogMel {
 public:
  explicit LogMel(const MelConfig& config);

  const MelConfig& config() const { return config_; }

  // Returns the number of frames of an utterance. The reference appends one more frame and masks
  // it; that frame is not computed here.
  int64_t NumFrames(int64_t num_samples) const { return num_samples / config_.hop_length; }

  // Computes mel [NumFrames(samples.size()), num_mel_bins] from mono samples at sample_rate_hz.
  // There must be at least two frames, so that a variance exists.
  void Compute(std::span<const float> samples, ThreadPool& threads, float* mel) const;

 private:
  // A filter's bins that are not zero.
  struct Band {
    int64_t first_bin = 0;
    std::vector<double> weights;
  };
  struct Scratch;

  void ComputeFrame(std::span<const float> samples, int64_t frame, Scratch& scratch,
                    float* mel) const;
  void NormaliseBand(int64_t num_frames, int64_t band, float* mel) const;

  MelConfig config_;
  PowerSpectrum spectrum_;
  std::vector<double> window_;  // [win_length]
  std::vector<Band> bands_;     // [num_mel_bins]
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEL_H_
