#include "model/preprocess/image_resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>

#include "base/check.h"

namespace autoglm {
namespace {

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
  int64_t stride = 0;          // of weights, a multiple of kernels::kWeightsAtOnce
  std::vector<int64_t> first;  // [out]: first input position
  std::vector<int64_t> taps;   // [out]: number of input positions
  std::vector<int16_t> high;   // [out, stride]: see kernels::ResizeWeights
  std::vector<int16_t> low;

  kernels::ResizeWeights WeightsOf(int64_t out) const {
    return {high.data() + out * stride, low.data() + out * stride};
  }
};

int32_t ToFixedPoint(double weight) {
  const double scaled = weight * static_cast<double>(1 << kernels::kWeightFractionBits);
  return static_cast<int32_t>(weight < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

AxisFilter MakeAxisFilter(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);  // shrinking widens the filter: antialiasing
  const double support = 2.0 * filter_scale;
  const auto centre_of = [&](int64_t o) { return (static_cast<double>(o) + 0.5) * scale; };

  AxisFilter axis;
  int64_t max_taps = 0;
  for (int64_t o = 0; o < out; ++o) {
    const double centre = centre_of(o);
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min(in, static_cast<int64_t>(centre + support + 0.5));
    axis.first.push_back(first);
    axis.taps.push_back(end - first);
    max_taps = std::max(max_taps, end - first);
  }
  axis.stride = (max_taps + kernels::kWeightsAtOnce - 1) / kernels::kWeightsAtOnce *
                kernels::kWeightsAtOnce;
  axis.high.assign(static_cast<size_t>(out * axis.stride), 0);
  axis.low.assign(static_cast<size_t>(out * axis.stride), 0);
  std::vector<double> tap_weights(static_cast<size_t>(max_taps));
  for (int64_t o = 0; o < out; ++o) {
    const double centre = centre_of(o);
    const int64_t first = axis.first[static_cast<size_t>(o)];
    const int64_t taps = axis.taps[static_cast<size_t>(o)];
    double sum = 0.0;
    for (int64_t i = 0; i < taps; ++i) {
      const double distance =
          (static_cast<double>(first + i) - centre + 0.5) * (1.0 / filter_scale);
      tap_weights[static_cast<size_t>(i)] = CubicFilter(distance);
      sum += tap_weights[static_cast<size_t>(i)];
    }
    for (int64_t i = 0; i < taps; ++i) {
      const int32_t weight = ToFixedPoint(tap_weights[static_cast<size_t>(i)] / sum);
      const int32_t high = weight >> kernels::kLowWeightBits;
      const size_t at = static_cast<size_t>(o * axis.stride + i);
      axis.high[at] = static_cast<int16_t>(high);
      axis.low[at] = static_cast<int16_t>(weight - high * (1 << kernels::kLowWeightBits));
    }
  }
  return axis;
}

int64_t NumTasks(int64_t num_rows) { return (num_rows + kRowsPerTask - 1) / kRowsPerTask; }

}  // namespace

std::vector<uint8_t> ResizeBicubic(const ImageView& image, const ImageSize& to,
                                   const ImageWorkers& workers) {
  CHECK(image.size.height > 0 && image.size.width > 0 && to.height > 0 && to.width > 0);
  const int64_t in_height = image.size.height;
  const int64_t in_row = image.size.width * kNumImageChannels;
  const int64_t out_row = to.width * kNumImageChannels;

  const AxisFilter horizontal = MakeAxisFilter(image.size.width, to.width);
  const auto narrowed =
      std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(in_height * out_row));
  workers.threads.ParallelFor(NumTasks(in_height), [&](int64_t task) {
    const int64_t row = task * kRowsPerTask;
    workers.kernels.resize_rows({.in = image.rgb + row * in_row,
                                 .in_width = image.size.width,
                                 .num_rows = std::min(kRowsPerTask, in_height - row),
                                 .out_width = to.width,
                                 .first = horizontal.first.data(),
                                 .taps = horizontal.taps.data(),
                                 .weights = horizontal.WeightsOf(0),
                                 .weight_stride = horizontal.stride,
                                 .out = narrowed.get() + row * out_row});
  });

  const AxisFilter vertical = MakeAxisFilter(in_height, to.height);
  std::vector<uint8_t> resized(static_cast<size_t>(to.height * out_row));
  workers.threads.ParallelFor(NumTasks(to.height), [&](int64_t task) {
    const int64_t end = std::min(to.height, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      const size_t o = static_cast<size_t>(row);
      workers.kernels.blend_rows({.rows = narrowed.get() + vertical.first[o] * out_row,
                                  .num_rows = vertical.taps[o],
                                  .row_bytes = out_row,
                                  .weights = vertical.WeightsOf(row),
                                  .out = resized.data() + row * out_row});
    }
  });
  return resized;
}

}  // namespace autoglm
