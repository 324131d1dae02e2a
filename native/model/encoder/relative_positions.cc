#include "model/encoder/relative_positions.h"

#include <cmath>
#include <cstddef>

namespace autoglm {

std::vector<float> RelativeSinusoids(int64_t num_frames, int64_t width) {
  constexpr double kTheta = 10000.0;
  std::vector<double> frequencies;  // [width / 2]
  for (int64_t i = 0; i < width; i += 2) {
    frequencies.push_back(std::pow(kTheta, -static_cast<double>(i) / static_cast<double>(width)));
  }

  std::vector<float> table(static_cast<size_t>((2 * num_frames - 1) * width));
  float* out = table.data();
  for (int64_t distance = num_frames - 1; distance > -num_frames; --distance) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(distance) * frequency;
      *out++ = static_cast<float>(std::sin(angle));
      *out++ = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

}  // namespace autoglm
