#ifndef AUTOGLM_KERNELS_SIMD_CONVOLUTION_H_
#define AUTOGLM_KERNELS_SIMD_CONVOLUTION_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Range begin..end - 1 of the taps whose input, `first` + tap, is one of `extent`.
struct TapRange {
  int64_t begin;
  int64_t end;

  TapRange(int64_t first, int64_t kernel_size, int64_t extent)
      : begin(first < 0 ? -first : 0),
        end(extent - first < kernel_size ? extent - first : kernel_size) {}
};

// Taps of one output pixel that lie inside the input, [rows][columns].
struct Taps {
  const float* x;  // of the first
  int64_t x_row_stride;
  const float* weight;  // of the first
  int64_t weight_row_stride;
  int64_t num_rows;
  int64_t num_columns;
  int64_t num_channels;  // also from a tap to the next
};

// Computes y = bias + the sum of weight * x over the taps, in order, for kVectors vectors of channels from
// `channel` on, of which the last has n channels.
template <typename V, int kVectors>
void SumTaps(const Taps& taps, int64_t channel, int64_t n, const float* bias, float* y) {
  const auto load = [&](const float* p, int v) {
    return V::LoadFirst(p + v * V::kWidth, kVectors > 1 ? int64_t{V::kWidth} : n);
  };
  typename V::Float sums[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    sums[v] = bias == nullptr ? V::Zero() : load(bias + channel, v);
  }
  for (int64_t row = 0; row < taps.num_rows; ++row) {
    const float* x = taps.x + row * taps.x_row_stride + channel;
    const float* weight = taps.weight + row * taps.weight_row_stride + channel;
    for (int64_t column = 0; column < taps.num_columns; ++column) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[v] = V::Add(sums[v], V::Multiply(load(weight, v), load(x, v)));
      }
      x += taps.num_channels;
      weight += taps.num_channels;
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    V::StoreFirst(y + channel + v * V::kWidth, sums[v], kVectors > 1 ? int64_t{V::kWidth} : n);
  }
}

// Computes all channels. A sum waits for the one before it, so several vectors pass together.
template <typename V>
void SumTaps(const Taps& taps, const float* bias, float* y) {
  constexpr int kVectors = 4;
  constexpr int64_t kChannels = kVectors * V::kWidth;
  int64_t channel = 0;
  for (; channel + kChannels <= taps.num_channels; channel += kChannels) {
    SumTaps<V, kVectors>(taps, channel, V::kWidth, bias, y);
  }
  for (; channel < taps.num_channels; channel += V::kWidth) {
    const int64_t rest = taps.num_channels - channel;
    SumTaps<V, 1>(taps, channel, rest < V::kWidth ? rest : int64_t{V::kWidth}, bias, y);
  }
}

template <typename V>
void Depthwise1d(const DepthwiseConv1dArgs& args) {
  for (int64_t t = args.out_begin; t < args.out_end; ++t) {
    const int64_t first = t - args.pad_left;
    const TapRange range(first, args.kernel_size, args.num_frames);
    SumTaps<V>({.x = args.x + (first + range.begin) * args.num_channels,
                .x_row_stride = 0,
                .weight = args.weight + range.begin * args.num_channels,
                .weight_row_stride = 0,
                .num_rows = 1,
                .num_columns = range.end - range.begin,
                .num_channels = args.num_channels},
               args.bias, args.y + t * args.num_channels);
  }
}

template <typename V>
void Depthwise2d(const DepthwiseConv2dArgs& args) {
  for (int64_t out_row = args.out_begin; out_row < args.out_end; ++out_row) {
    const int64_t top = out_row * args.stride - args.padding;
    const TapRange rows(top, args.kernel_size, args.height);
    for (int64_t out_column = 0; out_column < args.out_width; ++out_column) {
      const int64_t left = out_column * args.stride - args.padding;
      const TapRange columns(left, args.kernel_size, args.width);
      const int64_t pixel = (top + rows.begin) * args.width + left + columns.begin;
      const int64_t tap = rows.begin * args.kernel_size + columns.begin;
      SumTaps<V>({.x = args.x + pixel * args.num_channels,
                  .x_row_stride = args.width * args.num_channels,
                  .weight = args.weight + tap * args.num_channels,
                  .weight_row_stride = args.kernel_size * args.num_channels,
                  .num_rows = rows.end - rows.begin,
                  .num_columns = columns.end - columns.begin,
                  .num_channels = args.num_channels},
                 args.bias,
                 args.y + (out_row * args.out_width + out_column) * args.num_channels);
    }
  }
}

template <typename V>
ConvolutionKernels Convolution(const char* isa) {
  return {.isa = isa, .depthwise_1d = Depthwise1d<V>, .depthwise_2d = Depthwise2d<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_CONVOLUTION_H_
