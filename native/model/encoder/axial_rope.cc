#include "model/encoder/axial_rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace autoglm {
namespace {

// Cosines and sines of one axis: [extent, num_frequencies] each.
struct AxisAngles {
  std::vector<float> cos;
  std::vector<float> sin;
};

AxisAngles AnglesOf(int64_t extent, int64_t num_frequencies, double theta) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < num_frequencies; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(num_frequencies);
    frequencies.push_back(std::pow(theta, -exponent));
  }

  AxisAngles angles;
  for (int64_t position = 0; position < extent; ++position) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      angles.cos.push_back(static_cast<float>(std::cos(angle)));
      angles.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return angles;
}

}  // namespace

void AxialRope::Write(const Grid& grid, int64_t merge_size, float* cos, float* sin) const {
  const int64_t half = num_pairs / 2;
  const AxisAngles angles = AnglesOf(std::max(grid.h, grid.w), half, theta);
  for (int64_t cell = 0; cell < grid.NumCells(); ++cell) {
    const PatchPosition at = PatchAt(grid, merge_size, cell);
    for (const auto& [values, out] : {std::pair{&angles.cos, cos}, std::pair{&angles.sin, sin}}) {
      float* row = out + cell * num_pairs;
      std::copy_n(values->begin() + at.row * half, half, row);
      std::copy_n(values->begin() + at.column * half, half, row + half);
    }
  }
}

}  // namespace autoglm
