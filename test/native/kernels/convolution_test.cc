#include <cstdint>
#include <vector>

#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

// Every level adds the same products in the same order as the reference.

TEST_CASE("Depthwise convolution over time has the bits of the reference for any width") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t num_channels : OddLengths()) {
      for (const int64_t kernel_size : {1, 3, 31}) {
        for (const int64_t num_frames : {1, 7, 40}) {
          const std::vector<float> x = RandomFloats(num_frames * num_channels, 1, 2.0f);
          const std::vector<float> weight = RandomFloats(kernel_size * num_channels, 2, 1.0f);
          const std::vector<float> bias = RandomFloats(num_channels, 3, 1.0f);
          const int64_t out_begin = num_frames / 3;
          const auto convolve = [&](const CpuKernels& level, float* y) {
            level.convolution.depthwise_1d({.x = x.data(),
                                            .num_frames = num_frames,
                                            .num_channels = num_channels,
                                            .weight = weight.data(),
                                            .kernel_size = kernel_size,
                                            .pad_left = kernel_size / 2,
                                            .bias = kernel_size == 3 ? nullptr : bias.data(),
                                            .out_begin = out_begin,
                                            .out_end = num_frames,
                                            .y = y});
          };
          CAPTURE(num_channels);
          CAPTURE(kernel_size);
          CAPTURE(num_frames);
          GuardedArray<float> expected(num_frames * num_channels, 0);
          convolve(ReferenceKernels(), expected.data());
          GuardedArray<float> y(num_frames * num_channels, 1);

          convolve(kernels, y.data());

          CHECK(y.IsGuardIntact());
          CHECK_EQ(y.values(), expected.values());
        }
      }
    }
  });
}

struct Plane {
  int64_t height;
  int64_t width;
  int64_t stride;
  int64_t padding;
};

TEST_CASE("Depthwise convolution over a plane has the bits of the reference for any shape") {
  constexpr int64_t kKernelSize = 3;
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t num_channels : OddLengths()) {
      for (const Plane& plane : {Plane{1, 1, 2, 1}, Plane{5, 8, 2, 1}, Plane{6, 4, 1, 0}}) {
        const auto outputs = [&](int64_t extent) {
          return (extent + 2 * plane.padding - kKernelSize) / plane.stride + 1;
        };
        const int64_t out_height = outputs(plane.height);
        const int64_t out_width = outputs(plane.width);
        const std::vector<float> x =
            RandomFloats(plane.height * plane.width * num_channels, 1, 2.0f);
        const std::vector<float> weight =
            RandomFloats(kKernelSize * kKernelSize * num_channels, 2, 1.0f);
        const std::vector<float> bias = RandomFloats(num_channels, 3, 1.0f);
        const auto convolve = [&](const CpuKernels& level, float* y) {
          level.convolution.depthwise_2d({.x = x.data(),
                                          .height = plane.height,
                                          .width = plane.width,
                                          .num_channels = num_channels,
                                          .weight = weight.data(),
                                          .kernel_size = kKernelSize,
                                          .stride = plane.stride,
                                          .padding = plane.padding,
                                          .bias = bias.data(),
                                          .out_width = out_width,
                                          .out_begin = 0,
                                          .out_end = out_height,
                                          .y = y});
        };
        CAPTURE(num_channels);
        CAPTURE(plane.height);
        CAPTURE(plane.width);
        const int64_t num_values = out_height * out_width * num_channels;
        GuardedArray<float> expected(num_values, 0);
        convolve(ReferenceKernels(), expected.data());
        GuardedArray<float> y(num_values, 1);

        convolve(kernels, y.data());

        CHECK(y.IsGuardIntact());
        CHECK_EQ(y.values(), expected.values());
      }
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
