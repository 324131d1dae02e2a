#ifndef AUTOGLM_MODEL_POWER_SPECTRUM_H_
#define AUTOGLM_MODEL_POWER_SPECTRUM_H_

#include <complex>
#include <cstdint>
#include <vector>

namespace autoglm {

// Power spectrum of real signals of one length, a power of two. The signal is transformed as half
// as many complex numbers (even samples real, odd ones imaginary) and then untangled.
class PowerSpectrum {
 public:
  using Pair = double __attribute__((vector_size(16)));
  struct Complex {
    Pair parts;  // real, imaginary
  };

  // Prepares for signals of `length` samples, a power of two, at least 4.
  explicit PowerSpectrum(int64_t length);

  int64_t num_bins() const { return half_ + 1; }

  // Computes power [num_bins()] of signal [2 * half]; scratch is resized as needed. Thread-safe.
  void Compute(const double* signal, std::vector<Complex>& scratch,
               double* power) const;

 private:
  // A factor of complex numbers: z * real + swapped z * imaginary.
  struct Twiddle {
    Pair real;       // its real part twice
    Pair imaginary;  // its imaginary part negated, and as it is
  };

  void Transform(Complex* x) const;

  int64_t half_;
  std::vector<int64_t> bit_reversed_;             // [half]
  std::vector<Twiddle> twiddles_;                 // [half / 2]: exp(-2 pi i k / half)
  std::vector<std::complex<double>> untangling_;  // [half]: exp(-pi i k / half)
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_POWER_SPECTRUM_H_
