#ifndef AUTOGLM_TEST_NATIVE_PACKED_PRODUCT_H_
#define AUTOGLM_TEST_NATIVE_PACKED_PRODUCT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/cuda/cuda_ops.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm::cuda {

// An emulated GPU.
struct Gpu {
  Device device = Open();

  static Device Open() {
    Result<Device> opened = OpenCuda({DeviceKind::kCuda, {}, 0});
    REQUIRE(opened.ok());
    return std::move(opened.value());
  }
  const Ops& ops() const { return *device.ops; }
  OpsContext& context() const { return *device.context; }

  DeviceBuffer Allocate(size_t bytes) const {
    Result<DeviceBuffer> buffer = ops().allocate(context(), bytes);
    REQUIRE(buffer.ok());
    return std::move(buffer.value());
  }
  DeviceBuffer Upload(const std::vector<float>& values) const {
    DeviceBuffer buffer = Allocate(values.size() * sizeof(float));
    ops().copy_in(context(), {values.data(), values.size() * sizeof(float), buffer.data()});
    return buffer;
  }
};

// A weight packed on a GPU.
struct Packed {
  const Gpu& gpu;
  WeightShape shape;
  DeviceBuffer memory;
  DeviceBuffer bias;
  int64_t x_gap = 1;  // between rows of x

  // `numbers` have a shape, and Rows(begin, count) of it.
  template <typename Numbers>
  Packed(const Gpu& gpu, const Numbers& numbers, const std::vector<float>& bias_values)
      : gpu(gpu),
        shape(numbers.shape),
        memory(gpu.Allocate(gpu.ops().packed_bytes(gpu.context(), shape))),
        bias(gpu.Upload(bias_values)) {
    const int64_t first = std::min<int64_t>(shape.columns, 7);
    const WeightRows sources[] = {numbers.Rows(0, first),
                                  numbers.Rows(first, shape.columns - first)};
    REQUIRE(gpu.ops().prepare_gemm(gpu.context(), shape).ok());
    REQUIRE(gpu.ops().pack(gpu.context(), {sources, shape, memory.data()}).ok());
  }

  // Multiplies rows with NaN between them; what lies between those of y is kept.
  std::vector<float> Multiply(const std::vector<float>& x, int64_t num_rows,
                              Dtype activation_dtype) const {
    const int64_t stride = shape.columns + 3;
    const int64_t x_stride = shape.depth + x_gap;
    std::vector<float> rows(static_cast<size_t>(num_rows * x_stride), std::nanf(""));
    for (int64_t row = 0; row < num_rows; ++row) {
      std::copy_n(x.begin() + row * shape.depth, shape.depth, rows.begin() + row * x_stride);
    }
    const DeviceBuffer input = gpu.Upload(rows);
    const DeviceBuffer output =
        gpu.Upload(std::vector<float>(static_cast<size_t>(num_rows * stride), -7.0f));
    gpu.ops().gemm(gpu.context(),
                   {.x = {input.as<float>(), num_rows, shape.depth, x_stride},
                    .weight = {shape, memory.data()},
                    .bias = bias.as<float>(),
                    .activation_dtype = activation_dtype,
                    .y = {output.as<float>(), num_rows, shape.columns, stride}});
    const float* const padded =
        gpu.ops().host_rows(gpu.context(), DenseMatrix(output.as<float>(), num_rows, stride));
    std::vector<float> y;
    for (int64_t row = 0; row < num_rows; ++row) {
      const float* const begin = padded + row * stride;
      y.insert(y.end(), begin, begin + shape.columns);
      for (int64_t i = shape.columns; i < stride; ++i) CHECK_EQ(begin[i], -7.0f);
    }
    return y;
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_TEST_NATIVE_PACKED_PRODUCT_H_
