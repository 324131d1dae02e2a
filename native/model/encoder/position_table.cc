#include "model/encoder/position_table.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/check.h"

namespace autoglm {
namespace {

constexpr double kA = -0.75;

// Returns the cubic convolution kernel at distance x from its centre, 0 to 1 samples.
double NearWeight(double x) { return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0; }
// Returns the same kernel at distance x, 1 to 2 samples.
double FarWeight(double x) { return ((kA * x - 5.0 * kA) * x + 8.0 * kA) * x - 4.0 * kA; }

}  // namespace

PositionTable::PositionTable(std::vector<float> table, int64_t width)
    : width_(width),
      side_(std::lround(std::sqrt(static_cast<double>(table.size()) / static_cast<double>(width)))),
      table_(std::move(table)) {
  CHECK(side_ > 0 && static_cast<size_t>(side_ * side_ * width_) == table_.size());
}

// Returns the taps of one coordinate. The weights come from the coordinate itself; only the places
// that they read are clamped to the table.
PositionTable::Taps PositionTable::TapsAt(int64_t index, int64_t extent) const {
  const double at = (static_cast<double>(index) + 0.5) * static_cast<double>(side_) /
                        static_cast<double>(extent) -
                    0.5;
  const double floor = std::floor(at);
  const double t = at - floor;
  const double weights[4] = {FarWeight(t + 1.0), NearWeight(t), NearWeight(1.0 - t),
                             FarWeight(2.0 - t)};
  Taps taps;
  for (int64_t i = 0; i < 4; ++i) {
    taps.index[i] = std::clamp<int64_t>(static_cast<int64_t>(floor) - 1 + i, 0, side_ - 1);
    taps.weight[i] = static_cast<float>(weights[i]);
  }
  return taps;
}

void PositionTable::BlendRows(const Taps& taps, float* blended) const {
  const int64_t row_values = side_ * width_;
  std::fill(blended, blended + row_values, 0.0f);
  for (int64_t tap = 0; tap < 4; ++tap) {
    const float* row = table_.data() + taps.index[tap] * row_values;
    for (int64_t i = 0; i < row_values; ++i) blended[i] += taps.weight[tap] * row[i];
  }
}

void PositionTable::Interpolate(const Grid& grid, int64_t merge_size, ThreadPool& threads,
                                float* positions) const {
  std::vector<Taps> columns;
  for (int64_t column = 0; column < grid.w; ++column) columns.push_back(TapsAt(column, grid.w));

  // A task is one row of tokens: merge_size rows of patches, of which each blends the table once.
  threads.ParallelFor(grid.h / merge_size, [&](int64_t token_row) {
    std::vector<float> blended(static_cast<size_t>(merge_size * side_ * width_));
    for (int64_t i = 0; i < merge_size; ++i) {
      BlendRows(TapsAt(token_row * merge_size + i, grid.h),
                blended.data() + i * side_ * width_);
    }
    const int64_t begin = token_row * merge_size * grid.w;
    for (int64_t cell = begin; cell < begin + merge_size * grid.w; ++cell) {
      const PatchPosition at = PatchAt(grid, merge_size, cell);
      const float* row = blended.data() + at.row % merge_size * side_ * width_;
      const Taps& taps = columns[static_cast<size_t>(at.column)];
      float* position = positions + cell * width_;
      std::fill(position, position + width_, 0.0f);
      for (int64_t tap = 0; tap < 4; ++tap) {
        const float* source = row + taps.index[tap] * width_;
        for (int64_t i = 0; i < width_; ++i) position[i] += taps.weight[tap] * source[i];
      }
    }
  });
}

}  // namespace autoglm
