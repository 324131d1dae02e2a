#include "model/preprocess/image_resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"

namespace autoglm {
namespace {

// Weights are integers of this many fractional bits: 32 bits less 8 of a pixel and 2 of headroom.
constexpr int kFractionBits = 32 - 8 - 2;
constexpr int64_t kRowsPerTask = 16;

double CubicFilter(double x) {
  constexpr double kA = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * kA;
  return 0.0;
}

// Input positions that make each output position of one axis, and their weights.
struct AxisFilter {
  int64_t max_taps = 0;
  std::vector<int64_t> first;    // [out]: first input position
  std::vector<int64_t> taps;     // [out]: number of input positions
  std::vector<int32_t> weights;  // [out, max_taps], kFractionBits fractional bits
};

int32_t ToFixedPoint(double weight) {
  const double scaled = weight * static_cast<double>(1 << kFractionBits);
  return static_cast<int32_t>(weight < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

AxisFilter MakeAxisFilter(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);  // shrinking widens the filter: antialiasing
  const double support = 2.0 * filter_scale;

  AxisFilter axis;
  axis.max_taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  axis.first.resize(static_cast<size_t>(out));
  axis.taps.resize(static_cast<size_t>(out));
  axis.weights.assign(static_cast<size_t>(out * axis.max_taps), 0);
  std::vector<double> tap_weights(static_cast<size_t>(axis.max_taps));
  for (int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min(in, static_cast<int64_t>(centre + support + 0.5));
    double sum = 0.0;
    for (int64_t i = first; i < end; ++i) {
      const double distance = (static_cast<double>(i) - centre + 0.5) * (1.0 / filter_scale);
      tap_weights[static_cast<size_t>(i - first)] = CubicFilter(distance);
      sum += tap_weights[static_cast<size_t>(i - first)];
    }
    axis.first[static_cast<size_t>(o)] = first;
    axis.taps[static_cast<size_t>(o)] = end - first;
    for (int64_t i = 0; i < end - first; ++i) {
      axis.weights[static_cast<size_t>(o * axis.max_taps + i)] =
          ToFixedPoint(tap_weights[static_cast<size_t>(i)] / sum);
    }
  }
  return axis;
}

uint8_t RoundToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kFractionBits - 1);

// Resizes one row: [in_width, 3] to [out_width, 3].
void ResizeRow(const AxisFilter& axis, const uint8_t* in, uint8_t* out) {
  for (size_t o = 0; o < axis.first.size(); ++o) {
    const int32_t* weights = &axis.weights[o * static_cast<size_t>(axis.max_taps)];
    const uint8_t* pixel = in + axis.first[o] * kNumImageChannels;
    int32_t red = kHalf;
    int32_t green = kHalf;
    int32_t blue = kHalf;
    for (int64_t tap = 0; tap < axis.taps[o]; ++tap, pixel += kNumImageChannels) {
      red += pixel[0] * weights[tap];
      green += pixel[1] * weights[tap];
      blue += pixel[2] * weights[tap];
    }
    out[o * kNumImageChannels + 0] = RoundToByte(red);
    out[o * kNumImageChannels + 1] = RoundToByte(green);
    out[o * kNumImageChannels + 2] = RoundToByte(blue);
  }
}

// Computes one output row from `taps` input rows of `row_values` bytes; `sums` holds row_values
// numbers.
void BlendRows(const AxisFilter& axis, int64_t out_row, const uint8_t* in, int64_t row_values,
               int32_t* sums, uint8_t* out) {
  std::fill(sums, sums + row_values, kHalf);
  const size_t o = static_cast<size_t>(out_row);
  for (int64_t tap = 0; tap < axis.taps[o]; ++tap) {
    const int32_t weight = axis.weights[o * static_cast<size_t>(axis.max_taps) +
                                        static_cast<size_t>(tap)];
    const uint8_t* row = in + (axis.first[o] + tap) * row_values;
    for (int64_t i = 0; i < row_values; ++i) sums[i] += row[i] * weight;
  }
  for (int64_t i = 0; i < row_values; ++i) out[i] = RoundToByte(sums[i]);
}

int64_t NumTasks(int64_t num_rows) { return (num_rows + kRowsPerTask - 1) / kRowsPerTask; }

}  // namespace

std::vector<uint8_t> ResizeBicubic(const ImageView& image, const ImageSize& to,
                                   ThreadPool& threads) {
  CHECK(image.size.height > 0 && image.size.width > 0 && to.height > 0 && to.width > 0);
  const int64_t in_height = image.size.height;
  const int64_t in_row = image.size.width * kNumImageChannels;
  const int64_t out_row = to.width * kNumImageChannels;

  const AxisFilter horizontal = MakeAxisFilter(image.size.width, to.width);
  std::vector<uint8_t> narrowed(static_cast<size_t>(in_height * out_row));
  threads.ParallelFor(NumTasks(in_height), [&](int64_t task) {
    const int64_t end = std::min(in_height, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      ResizeRow(horizontal, image.rgb + row * in_row, narrowed.data() + row * out_row);
    }
  });

  const AxisFilter vertical = MakeAxisFilter(in_height, to.height);
  std::vector<uint8_t> resized(static_cast<size_t>(to.height * out_row));
  threads.ParallelFor(NumTasks(to.height), [&](int64_t task) {
    std::vector<int32_t> sums(static_cast<size_t>(out_row));
    const int64_t end = std::min(to.height, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      BlendRows(vertical, row, narrowed.data(), out_row, sums.data(),
                resized.data() + row * out_row);
    }
  });
  return resized;
}

}  // namespace autoglm
