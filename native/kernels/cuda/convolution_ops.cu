#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/simt.h"

namespace autoglm::cuda {
namespace {

// A thread computes one number of the output; neighbouring threads are neighbouring channels, so
// every access of a warp is to numbers in a row. What taps share comes from the caches.

constexpr int kOutputsPerBlock = 256;

Dim3 GridOf(int64_t num_outputs) {
  return {.x = static_cast<int>(DivideUp(num_outputs, kOutputsPerBlock))};
}

// Returns the index of the number that a thread computes.
SIMT_DEVICE int64_t OutputIndex() {
  return int64_t{BlockIndex().x} * kOutputsPerBlock + ThreadIndex();
}

// y[t] = bias + sum over k of weight[k] * x[t - pad_left + k], each per channel.
struct Convolve1d {
  struct Args {
    const float* x;       // [num_frames, channels]
    const float* weight;  // [kernel_size, channels]
    const float* bias;    // [channels] or null
    float* y;             // [num_outputs / channels, channels]
    int64_t num_outputs;
    int channels;
    int num_frames;
    int kernel_size;
    int pad_left;
  };
  static constexpr int kThreads = kOutputsPerBlock;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t index = OutputIndex();
    if (index >= args.num_outputs) return;
    const int first_frame = static_cast<int>(index / args.channels) - args.pad_left;
    const int channel = static_cast<int>(index % args.channels);
    float sum = args.bias == nullptr ? 0.0f : args.bias[channel];
    for (int k = 0; k < args.kernel_size; ++k) {
      const int frame = first_frame + k;
      if (frame < 0 || frame >= args.num_frames) continue;
      sum = Fma(args.weight[k * args.channels + channel],
                args.x[int64_t{frame} * args.channels + channel], sum);
    }
    args.y[index] = sum;
  }
};

// A square convolution's geometry: PlaneGeometry in the registers of a thread.
struct Plane {
  int height;
  int width;
  int channels;
  int kernel_size;
  int stride;
  int padding;
  int out_width;
};

Plane PlaneOf(const PlaneGeometry& plane) {
  return {.height = static_cast<int>(plane.height),
          .width = static_cast<int>(plane.width),
          .channels = static_cast<int>(plane.channels),
          .kernel_size = static_cast<int>(plane.kernel_size),
          .stride = static_cast<int>(plane.stride),
          .padding = static_cast<int>(plane.padding),
          .out_width = static_cast<int>(plane.OutWidth())};
}

// Returns the channels of the pixel that a tap of an output pixel reads, or null outside the plane.
SIMT_DEVICE const float* TapOf(const Plane& plane, const float* x, int pixel, int tap) {
  const int row =
      pixel / plane.out_width * plane.stride - plane.padding + tap / plane.kernel_size;
  const int column =
      pixel % plane.out_width * plane.stride - plane.padding + tap % plane.kernel_size;
  if (row < 0 || row >= plane.height || column < 0 || column >= plane.width) return nullptr;
  return x + (int64_t{row} * plane.width + column) * plane.channels;
}

struct Convolve2d {
  struct Args {
    Plane plane;
    const float* x;       // [height, width, channels]
    const float* weight;  // [kernel_size, kernel_size, channels]
    const float* bias;    // [channels] or null
    float* y;             // [num_outputs / channels, channels]
    int64_t num_outputs;
  };
  static constexpr int kThreads = kOutputsPerBlock;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t index = OutputIndex();
    if (index >= args.num_outputs) return;
    const int channels = args.plane.channels;
    const int pixel = static_cast<int>(index / channels);
    const int channel = static_cast<int>(index % channels);
    float sum = args.bias == nullptr ? 0.0f : args.bias[channel];
    for (int tap = 0; tap < args.plane.kernel_size * args.plane.kernel_size; ++tap) {
      const float* const x = TapOf(args.plane, args.x, pixel, tap);
      if (x != nullptr) sum = Fma(args.weight[tap * channels + channel], x[channel], sum);
    }
    args.y[index] = sum;
  }
};

// Copies neighbourhoods: row `pixel` of y is [taps, channels], zeros outside the plane.
struct CopyNeighbourhoods {
  struct Args {
    Plane plane;
    const float* x;
    float* y;
    int64_t y_stride;
    int64_t num_outputs;
  };
  static constexpr int kThreads = kOutputsPerBlock;

  SIMT_DEVICE void operator()(const Args& args) const {
    const int64_t index = OutputIndex();
    if (index >= args.num_outputs) return;
    const int channels = args.plane.channels;
    const int columns = args.plane.kernel_size * args.plane.kernel_size * channels;
    const int pixel = static_cast<int>(index / columns);
    const int column = static_cast<int>(index % columns);
    const float* const x = TapOf(args.plane, args.x, pixel, column / channels);
    args.y[pixel * args.y_stride + column] = x == nullptr ? 0.0f : x[column % channels];
  }
};

void DepthwiseConv1d(OpsContext& context, const DepthwiseConv1dOp& op) {
  CHECK(op.x.columns == op.y.columns);
  CHECK(op.x.stride == op.x.columns && op.y.stride == op.y.columns);
  const int64_t num_outputs = op.y.rows * op.y.columns;
  Launch<Convolve1d>(Cuda(context).stream(), GridOf(num_outputs), 0,
                     {.x = op.x.data,
                      .weight = op.weight,
                      .bias = op.bias,
                      .y = op.y.data,
                      .num_outputs = num_outputs,
                      .channels = static_cast<int>(op.x.columns),
                      .num_frames = static_cast<int>(op.x.rows),
                      .kernel_size = static_cast<int>(op.kernel_size),
                      .pad_left = static_cast<int>(op.pad_left)});
}

void DepthwiseConv2d(OpsContext& context, const DepthwiseConv2dOp& op) {
  const int64_t num_outputs = op.plane.OutHeight() * op.plane.OutWidth() * op.plane.channels;
  Launch<Convolve2d>(Cuda(context).stream(), GridOf(num_outputs), 0,
                     {.plane = PlaneOf(op.plane),
                      .x = op.x,
                      .weight = op.weight,
                      .bias = op.bias,
                      .y = op.y,
                      .num_outputs = num_outputs});
}

void Im2Col(OpsContext& context, const Im2ColOp& op) {
  CHECK(op.y.rows == op.plane.OutHeight() * op.plane.OutWidth());
  CHECK(op.y.columns == op.plane.kernel_size * op.plane.kernel_size * op.plane.channels);
  const int64_t num_outputs = op.y.rows * op.y.columns;
  Launch<CopyNeighbourhoods>(Cuda(context).stream(), GridOf(num_outputs), 0,
                             {.plane = PlaneOf(op.plane),
                              .x = op.x,
                              .y = op.y.data,
                              .y_stride = op.y.stride,
                              .num_outputs = num_outputs});
}

}  // namespace

void SetConvolutionOps(Ops& ops) {
  ops.depthwise_conv1d = DepthwiseConv1d;
  ops.depthwise_conv2d = DepthwiseConv2d;
  ops.im2col = Im2Col;
}

}  // namespace autoglm::cuda
