#ifndef AUTOGLM_MODEL_RESAMPLE_H_
#define AUTOGLM_MODEL_RESAMPLE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "device/thread_pool.h"

namespace autoglm {

struct SampleRates {
  int64_t from_hz = 0;
  int64_t to_hz = 0;
};

// Refuses rates outside 4..192 kHz, for which there is no filter.
Status CheckSampleRate(int64_t hz);

// Returns the number of samples at to_hz of a recording at from_hz.
int64_t NumResampledSamples(const SampleRates& rates, int64_t num_input_samples);

// Converts a recording between sample rates by a band-limited interpolation with a sinc under a
// Kaiser window (J. O. Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/).
// Aliases and images are below -80 dB. The rates of recorders have few phases, whose taps are
// computed once. For all others (191,999 Hz has 16,000 phases of 1,610 taps) the taps of each output
// are interpolated in one table of the window, so that the work is bounded by the samples.
class Resampler {
 public:
  static Result<Resampler> Create(const SampleRates& rates);

  // Takes samples at from_hz and returns NumResampledSamples of them at to_hz.
  std::vector<float> Resample(std::span<const float> samples, ThreadPool& threads) const;

 private:
  explicit Resampler(const SampleRates& rates);

  void ComputeTaps();
  float OutputSample(std::span<const float> samples, int64_t index) const;
  float InterpolatedSample(std::span<const float> samples, int64_t index) const;

  int64_t up_;              // to_hz / gcd: number of phases
  int64_t down_;            // from_hz / gcd: phases an output sample advances
  int64_t half_taps_;        // input samples on each side of an output sample
  double density_;           // crossings of the sinc per input sample, less than one
  std::vector<float> taps_;  // [up, 2 * half_taps]; empty if there are too many phases
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_RESAMPLE_H_
