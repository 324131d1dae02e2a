#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

// Sets y[c] to bias[c], or to zero if there is no bias.
void StartFromBias(const float* bias, int64_t num_channels, float* y) {
  for (int64_t c = 0; c < num_channels; ++c) y[c] = bias == nullptr ? 0.0f : bias[c];
}

void AddProduct(const float* weight, const float* x, int64_t num_channels, float* y) {
  for (int64_t c = 0; c < num_channels; ++c) y[c] += weight[c] * x[c];
}

void Depthwise1d(const DepthwiseConv1dArgs& args) {
  for (int64_t t = args.out_begin; t < args.out_end; ++t) {
    float* y = args.y + t * args.num_channels;
    StartFromBias(args.bias, args.num_channels, y);
    for (int64_t k = 0; k < args.kernel_size; ++k) {
      const int64_t frame = t - args.pad_left + k;
      if (frame < 0 || frame >= args.num_frames) continue;
      AddProduct(args.weight + k * args.num_channels, args.x + frame * args.num_channels,
                 args.num_channels, y);
    }
  }
}

void Depthwise2d(const DepthwiseConv2dArgs& args) {
  for (int64_t out_row = args.out_begin; out_row < args.out_end; ++out_row) {
    for (int64_t out_column = 0; out_column < args.out_width; ++out_column) {
      float* y = args.y + (out_row * args.out_width + out_column) * args.num_channels;
      StartFromBias(args.bias, args.num_channels, y);
      for (int64_t tap = 0; tap < args.kernel_size * args.kernel_size; ++tap) {
        const int64_t row = out_row * args.stride - args.padding + tap / args.kernel_size;
        const int64_t column = out_column * args.stride - args.padding + tap % args.kernel_size;
        if (row < 0 || row >= args.height || column < 0 || column >= args.width) continue;
        AddProduct(args.weight + tap * args.num_channels,
                   args.x + (row * args.width + column) * args.num_channels, args.num_channels, y);
      }
    }
  }
}

}  // namespace

ConvolutionKernels Convolution() {
  return {.isa = "reference", .depthwise_1d = Depthwise1d, .depthwise_2d = Depthwise2d};
}

}  // namespace autoglm::kernels::reference
