#include "model/preprocess/power_spectrum.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

#include "base/check.h"

namespace autoglm {
namespace {

std::complex<double> UnitRoot(int64_t numerator, int64_t denominator) {
  const double angle = -2.0 * std::numbers::pi * static_cast<double>(numerator) /
                       static_cast<double>(denominator);
  return {std::cos(angle), std::sin(angle)};
}

}  // namespace

PowerSpectrum::PowerSpectrum(int64_t length) : half_(length / 2) {
  CHECK(length >= 4 && std::has_single_bit(static_cast<uint64_t>(length)));
  const int num_bits = std::countr_zero(static_cast<uint64_t>(half_));
  for (int64_t i = 0; i < half_; ++i) {
    int64_t reversed = 0;
    for (int bit = 0; bit < num_bits; ++bit) reversed |= ((i >> bit) & 1) << (num_bits - 1 - bit);
    bit_reversed_.push_back(reversed);
    untangling_.push_back(UnitRoot(i, length));
  }
  for (int64_t i = 0; i < half_ / 2; ++i) {
    const std::complex<double> root = UnitRoot(i, half_);
    twiddles_.push_back({Pair{root.real(), root.real()}, Pair{-root.imag(), root.imag()}});
  }
}

// Transforms x by radix-2 decimation in time; x is in bit-reversed order. A complex number is a vector of
// two: the compiler finds none in products that are written out, and the operator's handling of
// infinities would cost most of the time.
void PowerSpectrum::Transform(Complex* x) const {
  for (int64_t i = 0; i < half_; i += 2) {  // the first stage turns by no angle
    const Pair upper = x[i].parts;
    const Pair lower = x[i + 1].parts;
    x[i].parts = upper + lower;
    x[i + 1].parts = upper - lower;
  }
  for (int64_t span = 2; span < half_; span *= 2) {
    const int64_t twiddle_step = half_ / (2 * span);
    for (int64_t begin = 0; begin < half_; begin += 2 * span) {
      const Twiddle* twiddle = twiddles_.data();
      for (int64_t i = begin; i < begin + span; ++i, twiddle += twiddle_step) {
        const Pair upper = x[i].parts;
        const Pair lower = x[i + span].parts;
        const Pair swapped = {lower[1], lower[0]};
        const Pair product = lower * twiddle->real + swapped * twiddle->imaginary;
        x[i + span].parts = upper - product;
        x[i].parts = upper + product;
      }
    }
  }
}

void PowerSpectrum::Compute(const double* signal, std::vector<Complex>& scratch,
                            double* power) const {
  scratch.resize(static_cast<size_t>(half_));
  for (int64_t i = 0; i < half_; ++i) {
    const int64_t from = bit_reversed_[static_cast<size_t>(i)];
    scratch[static_cast<size_t>(i)].parts = Pair{signal[2 * from], signal[2 * from + 1]};
  }
  Transform(scratch.data());

  const auto at = [&](int64_t k) {
    const Pair z = scratch[static_cast<size_t>(k)].parts;
    return std::complex<double>(z[0], z[1]);
  };
  const std::complex<double> first = at(0);
  power[0] = (first.real() + first.imag()) * (first.real() + first.imag());
  power[half_] = (first.real() - first.imag()) * (first.real() - first.imag());
  for (int64_t k = 1; k < half_; ++k) {
    // X[k] = E[k] + exp(-pi i k / half) O[k], with E and O the spectra of even and odd samples.
    const std::complex<double> z = at(k);
    const std::complex<double> mirrored = std::conj(at(half_ - k));
    const std::complex<double> even = 0.5 * (z + mirrored);
    const std::complex<double> odd_times_i = 0.5 * (z - mirrored);
    const std::complex<double> odd = {odd_times_i.imag(), -odd_times_i.real()};
    power[k] = std::norm(even + untangling_[static_cast<size_t>(k)] * odd);
  }
}

}  // namespace autoglm
