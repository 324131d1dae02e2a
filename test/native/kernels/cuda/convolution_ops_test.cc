#include <vector>

#include "kernels/cuda/device_twin.h"
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

TEST_CASE("Convolutions over time of a GPU are those of a CPU") {
  const Devices devices;
  struct Case {
    int64_t frames, channels, kernel_size, pad_left, pad_right;
  };
  for (const auto& [frames, channels, kernel_size, pad_left, pad_right] :
       {Case{1, 1, 1, 0, 0}, Case{7, 33, 9, 4, 4}, Case{40, 24, 31, 15, 15}, Case{12, 300, 4, 3, 0},
        Case{5, 16, 3, 0, 0}}) {
    CAPTURE(frames);
    CAPTURE(channels);
    CAPTURE(kernel_size);
    const int64_t out_frames = frames + pad_left + pad_right - kernel_size + 1;
    Twin x(devices, RandomFloats(frames * channels, 1, 2.0f));
    Twin weight(devices, RandomFloats(kernel_size * channels, 2, 1.0f));
    Twin bias(devices, RandomFloats(channels, 3, 1.0f));
    for (const bool has_bias : {false, true}) {
      Twin y(devices, RandomFloats(out_frames * channels, 4, 1.0f));

      OnBoth(devices, [&](const Device& device) {
        device.ops->depthwise_conv1d(*device.context,
                                     {.x = DenseMatrix(x.On(device), frames, channels),
                                      .weight = weight.On(device),
                                      .kernel_size = kernel_size,
                                      .pad_left = pad_left,
                                      .bias = has_bias ? bias.On(device) : nullptr,
                                      .y = DenseMatrix(y.On(device), out_frames, channels)});
      });

      CheckClose(y, 1e-5);
    }
  }
}

// Height, width, channels, kernel size, stride and padding.
constexpr PlaneGeometry kPlanes[] = {
    {1, 1, 1, 1, 1, 0}, {2, 2, 2, 3, 2, 1}, {9, 7, 5, 3, 2, 1}, {6, 11, 33, 2, 2, 0},
    {5, 4, 3, 3, 1, 2}};

TEST_CASE("Convolutions over a plane of a GPU are those of a CPU") {
  const Devices devices;
  for (const PlaneGeometry& plane : kPlanes) {
    CAPTURE(plane.height);
    CAPTURE(plane.kernel_size);
    const int64_t taps = plane.kernel_size * plane.kernel_size;
    Twin x(devices, RandomFloats(plane.height * plane.width * plane.channels, 1, 2.0f));
    Twin weight(devices, RandomFloats(taps * plane.channels, 2, 1.0f));
    Twin bias(devices, RandomFloats(plane.channels, 3, 1.0f));
    for (const bool has_bias : {false, true}) {
      Twin y(devices,
             RandomFloats(plane.OutHeight() * plane.OutWidth() * plane.channels, 4, 1.0f));

      OnBoth(devices, [&](const Device& device) {
        device.ops->depthwise_conv2d(*device.context,
                                     {.plane = plane,
                                      .x = x.On(device),
                                      .weight = weight.On(device),
                                      .bias = has_bias ? bias.On(device) : nullptr,
                                      .y = y.On(device)});
      });

      CheckClose(y, 1e-5);
    }
  }
}

TEST_CASE("Neighbourhoods of a GPU lie in rows as those of a CPU") {
  const Devices devices;
  for (const PlaneGeometry& plane : kPlanes) {
    CAPTURE(plane.height);
    CAPTURE(plane.kernel_size);
    const int64_t rows = plane.OutHeight() * plane.OutWidth();
    const int64_t columns = plane.kernel_size * plane.kernel_size * plane.channels;
    Twin x(devices, RandomFloats(plane.height * plane.width * plane.channels, 1, 2.0f));
    Twin y(devices, RandomFloats(rows * (columns + 3), 4, 1.0f));

    OnBoth(devices, [&](const Device& device) {
      device.ops->im2col(*device.context, {.plane = plane,
                                           .x = x.On(device),
                                           .y = {y.On(device), rows, columns, columns + 3}});
    });

    CHECK_EQ(y.GpuFloats(), y.CpuFloats());
  }
}

}  // namespace
}  // namespace autoglm::cuda
