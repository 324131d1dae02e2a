#include "kernel_levels.h"

#include <random>

namespace autoglm::kernels {

const CpuKernels& ReferenceKernels() {
  static const CpuKernels kernels = [] {
    CpuKernels reference = {};
    ApplyReference(reference);
    return reference;
  }();
  return kernels;
}

std::vector<int64_t> OddLengths() {
  std::vector<int64_t> lengths = {0, 1};
  for (const int64_t width : {8, 16, 32, 64}) {
    for (const int64_t length : {width - 1, width, width + 1, 3 * width + 5}) {
      lengths.push_back(length);
    }
  }
  return lengths;
}

std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale) {
  std::minstd_rand generator(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    const double unit = static_cast<double>(generator()) / std::minstd_rand::max();
    value = static_cast<float>((2.0 * unit - 1.0) * scale);
  }
  return values;
}

}  // namespace autoglm::kernels
