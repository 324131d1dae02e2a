#include <algorithm>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

void DepthwiseConv1d(OpsContext& context, const DepthwiseConv1dOp& op) {
  CHECK(op.x.columns == op.y.columns);
  CHECK(op.x.stride == op.x.columns && op.y.stride == op.y.columns);
  CpuContext& cpu = Cpu(context);
  cpu.ForRows(op.y.rows, op.y.columns * op.kernel_size, [&](int64_t begin, int64_t count) {
    cpu.kernels().convolution.depthwise_1d({.x = op.x.data,
                                            .num_frames = op.x.rows,
                                            .num_channels = op.x.columns,
                                            .weight = op.weight,
                                            .kernel_size = op.kernel_size,
                                            .pad_left = op.pad_left,
                                            .bias = op.bias,
                                            .out_begin = begin,
                                            .out_end = begin + count,
                                            .y = op.y.data});
  });
}

void DepthwiseConv2d(OpsContext& context, const DepthwiseConv2dOp& op) {
  const PlaneGeometry& plane = op.plane;
  CpuContext& cpu = Cpu(context);
  const int64_t products_per_row =
      plane.OutWidth() * plane.channels * plane.kernel_size * plane.kernel_size;
  cpu.ForRows(plane.OutHeight(), products_per_row, [&](int64_t begin, int64_t count) {
    cpu.kernels().convolution.depthwise_2d({.x = op.x,
                                            .height = plane.height,
                                            .width = plane.width,
                                            .num_channels = plane.channels,
                                            .weight = op.weight,
                                            .kernel_size = plane.kernel_size,
                                            .stride = plane.stride,
                                            .padding = plane.padding,
                                            .bias = op.bias,
                                            .out_width = plane.OutWidth(),
                                            .out_begin = begin,
                                            .out_end = begin + count,
                                            .y = op.y});
  });
}

// Copies the neighbourhood of one output pixel: [kernel_size, kernel_size, channels], zeros outside
// the plane.
void CopyNeighbourhood(const Im2ColOp& op, int64_t pixel, float* y) {
  const PlaneGeometry& plane = op.plane;
  const int64_t top = pixel / plane.OutWidth() * plane.stride - plane.padding;
  const int64_t left = pixel % plane.OutWidth() * plane.stride - plane.padding;
  for (int64_t tap = 0; tap < plane.kernel_size * plane.kernel_size; ++tap) {
    const int64_t row = top + tap / plane.kernel_size;
    const int64_t column = left + tap % plane.kernel_size;
    float* target = y + tap * plane.channels;
    if (row < 0 || row >= plane.height || column < 0 || column >= plane.width) {
      std::fill_n(target, plane.channels, 0.0f);
    } else {
      std::copy_n(op.x + (row * plane.width + column) * plane.channels, plane.channels, target);
    }
  }
}

void Im2Col(OpsContext& context, const Im2ColOp& op) {
  CHECK(op.y.rows == op.plane.OutHeight() * op.plane.OutWidth());
  CHECK(op.y.columns == op.plane.kernel_size * op.plane.kernel_size * op.plane.channels);
  Cpu(context).ForRows(op.y.rows, op.y.columns, [&](int64_t begin, int64_t count) {
    for (int64_t pixel = begin; pixel < begin + count; ++pixel) {
      CopyNeighbourhood(op, pixel, op.y.data + pixel * op.y.stride);
    }
  });
}

}  // namespace

void SetConvolutionOps(Ops& ops) {
  ops.depthwise_conv1d = DepthwiseConv1d;
  ops.depthwise_conv2d = DepthwiseConv2d;
  ops.im2col = Im2Col;
}

}  // namespace autoglm::cpu
