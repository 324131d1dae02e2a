#include "model/encoder/subsampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace autoglm {
namespace {

constexpr int64_t kKernelSize = 3;
constexpr int64_t kTaps = kKernelSize * kKernelSize;
constexpr int64_t kFramesPerChunk = 64;  // after subsampling

// Transposes [rows, columns] to [columns, rows].
std::vector<float> Transpose(const std::vector<float>& matrix, int64_t rows, int64_t columns) {
  std::vector<float> transposed(matrix.size());
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      transposed[static_cast<size_t>(column * rows + row)] =
          matrix[static_cast<size_t>(row * columns + column)];
    }
  }
  return transposed;
}

}  // namespace

void Subsampling::Load(WeightLoader& loader) {
  const int64_t channels = config_.subsampling_channels;
  const int64_t hidden = config_.hidden_size;
  const std::string layers = "subsampling.layers.";
  first_ = loader.LoadLinear({{layers + "0", channels}}, {1, kKernelSize, kKernelSize}, true);
  // The activations between the convolutions count as layers, so the convolutions have the numbers
  // 0, 2, 3, 5, 6, ...
  for (int64_t i = 1; i < config_.num_subsampling_convs; ++i) {
    const std::string depthwise = layers + std::to_string(3 * i - 1);
    const std::vector<float> kernel =
        loader.ReadFloats(depthwise + ".weight", {channels, 1, kKernelSize, kKernelSize});
    if (!loader.status().ok()) return;
    stages_.push_back(
        {.depthwise = loader.AddFloats(Transpose(kernel, channels, kTaps)),
         .depthwise_bias = loader.LoadVector(depthwise + ".bias", channels),
         .pointwise = loader.LoadLinear({{layers + std::to_string(3 * i), channels}},
                                        {channels, 1, 1}, true)});
  }

  // The checkpoint's columns are ordered channel by channel, the planes here band by band. If the
  // model scales the result, the factor is multiplied into the weight.
  const int64_t bands = BandsAt(config_.num_subsampling_convs);
  const std::vector<float> weight =
      loader.ReadFloats("subsampling.linear.weight", {hidden, channels * bands});
  std::vector<float> bias = loader.ReadFloats("subsampling.linear.bias", {hidden});
  if (!loader.status().ok()) return;
  const float scale = config_.scale_input ? std::sqrt(static_cast<float>(hidden)) : 1.0f;
  std::vector<float> reordered;
  for (int64_t row = 0; row < hidden; ++row) {
    const auto begin = weight.begin() + row * channels * bands;
    const std::vector<float> by_band =
        Transpose({begin, begin + channels * bands}, channels, bands);
    for (const float value : by_band) reordered.push_back(scale * value);
  }
  for (float& value : bias) value *= scale;
  linear_ = loader.AddLinear(reordered, channels * bands, bias);
}

int64_t Subsampling::ExtentAt(int64_t level, int64_t extent) const {
  for (int64_t i = 0; i < level; ++i) extent = (extent - 1) / 2 + 1;
  return extent;
}

// Returns the plane that convolution `level` (from 0) reads.
PlaneGeometry Subsampling::Plane(int64_t level, int64_t num_frames) const {
  return {.height = num_frames,
          .width = BandsAt(level),
          .channels = level == 0 ? 1 : config_.subsampling_channels,
          .kernel_size = kKernelSize,
          .stride = 2,
          .padding = 1};
}

Status Subsampling::Reserve() {
  // A chunk reads one frame more than it gives, at each level.
  const int64_t first_frames = (kFramesPerChunk + 1) << (config_.num_subsampling_convs - 1);
  const int64_t pixels = first_frames * BandsAt(1);
  const int64_t channels = config_.subsampling_channels;
  return workspace_.LayOut(device_, {{&taps_, pixels, kTaps},
                                     {&planes_[0], pixels, channels},
                                     {&planes_[1], pixels, channels}});
}

void Subsampling::Apply(const MatrixView& mel, const MatrixView& frames) {
  for (int64_t begin = 0; begin < frames.rows; begin += kFramesPerChunk) {
    ApplyChunk(mel, frames, begin, std::min(kFramesPerChunk, frames.rows - begin));
  }
}

// Computes frames begin .. begin + count - 1. Every chunk but the first starts one frame early, and
// so does each of its planes. The first row of a plane then reads padding instead of its
// predecessor and is wrong, but only the first row of the next plane reads it, and the first row of
// the last plane is dropped.
void Subsampling::ApplyChunk(const MatrixView& mel, const MatrixView& frames, int64_t begin,
                             int64_t count) {
  const Ops& ops = *device_.ops;
  OpsContext& context = *device_.context;
  const int64_t num_levels = config_.num_subsampling_convs;
  const int64_t channels = config_.subsampling_channels;
  const int64_t halo = begin > 0 ? 1 : 0;
  const int64_t mel_begin = (begin - halo) << num_levels;
  const int64_t mel_count = std::min(mel.rows - mel_begin, (count + halo) << num_levels);

  PlaneGeometry plane = Plane(0, mel_count);
  int64_t pixels = plane.OutHeight() * plane.OutWidth();
  const MatrixView taps = taps_.Rows(0, pixels);
  MatrixView x = planes_[0].Rows(0, pixels);
  const MatrixView y = planes_[1].Rows(0, pixels);
  ops.im2col(context, {.plane = plane, .x = mel.Rows(mel_begin, mel_count).data, .y = taps});
  layer_ops_.Multiply(taps, first_, x);
  layer_ops_.Activate(Activation::kRelu, x);

  for (int64_t level = 1; level < num_levels; ++level) {
    const Stage& stage = stages_[static_cast<size_t>(level - 1)];
    plane = Plane(level, plane.OutHeight());
    pixels = plane.OutHeight() * plane.OutWidth();
    ops.depthwise_conv2d(context, {.plane = plane,
                                   .x = x.data,
                                   .weight = stage.depthwise,
                                   .bias = stage.depthwise_bias,
                                   .y = y.data});
    x = x.Rows(0, pixels);
    layer_ops_.Multiply(y.Rows(0, pixels), stage.pointwise, x);
    layer_ops_.Activate(Activation::kRelu, x);
  }

  const MatrixView rows =
      DenseMatrix(x.data, count + halo, BandsAt(num_levels) * channels).Rows(halo, count);
  layer_ops_.Multiply(rows, linear_, frames.Rows(begin, count));
}

}  // namespace autoglm
