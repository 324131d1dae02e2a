#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "gemm_products.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

constexpr WeightFormat kInt8 = {.type = WeightType::kInt8};
constexpr WeightFormat kInt8Dynamic = {.type = WeightType::kInt8, .quantizes_input = true};

WeightFormat Int4(int64_t group_size, Dtype scale_dtype, bool has_zero_points) {
  return {.type = WeightType::kInt4,
          .group_size = group_size,
          .scale_dtype = scale_dtype,
          .has_zero_points = has_zero_points};
}

std::vector<WeightFormat> Formats() {
  return {kInt8,
          kInt8Dynamic,
          {.type = WeightType::kInt8, .group_size = 32, .has_zero_points = true},
          Int4(32, Dtype::kBfloat16, false),
          Int4(64, Dtype::kFloat16, true),
          Int4(128, Dtype::kBfloat16, true),
          Int4(0, Dtype::kFloat32, false),
          Int4(0, Dtype::kBfloat16, true)};
}

std::string NameOf(const WeightFormat& format) {
  return std::string(WeightFormatName(format)) + " group " + std::to_string(format.group_size) +
         (format.has_zero_points ? " asymmetric" : "") + (format.quantizes_input ? " dynamic" : "");
}

// A number that every scale type holds exactly.
float ExactScale(float value) {
  return Float16ToFloat(FloatToFloat16(BFloat16ToFloat(FloatToBFloat16(value))));
}

// One product: x [num_rows, depth] times the transpose of integers [num_columns, depth], plus bias.
struct Product {
  WeightFormat format;
  Dtype x_dtype;
  int64_t num_rows;
  int64_t depth;
  int64_t num_columns;
  int64_t num_groups;
  std::vector<float> x;       // as the kernel reads it
  std::vector<uint16_t> narrow;
  std::vector<uint8_t> bytes;
  std::vector<int16_t> integers;
  bool is_int16;  // the level takes them for x_dtype
  std::vector<float> x_scales;
  std::vector<int8_t> values;
  std::vector<float> scales;
  std::vector<int8_t> zero_points;
  std::vector<float> bias;

  Product(const CpuKernels& kernels, const WeightFormat& format, Dtype x_dtype, int64_t num_rows,
          int64_t depth, int64_t num_columns)
      : format(format),
        x_dtype(x_dtype),
        num_rows(num_rows),
        depth(depth),
        num_columns(num_columns),
        num_groups(NumGroups(format, depth)),
        x(RandomFloats(num_rows * depth, 1, 1.0f)),
        is_int16(kernels.gemm.largest_task(format, x_dtype, depth, num_rows).x_layout ==
                 InputLayout::kInt16Rows),
        bias(RandomFloats(num_columns, 3, 1.0f)) {
    const float limit = format.type == WeightType::kInt4 ? 8.0f : 128.0f;
    for (const float value : RandomFloats(num_columns * depth, 2, limit)) {
      values.push_back(static_cast<int8_t>(std::floor(value)));
    }
    for (const float value : RandomFloats(num_columns * num_groups, 4, 0.01f)) {
      scales.push_back(ExactScale(value));
    }
    for (const float value : RandomFloats(num_columns * num_groups, 5, limit)) {
      zero_points.push_back(static_cast<int8_t>(std::floor(value)));
    }
    RoundInput(kernels.convert);
  }

  void RoundInput(const ConvertKernels& convert) {
    narrow.resize(x.size());
    bytes.resize(x.size());
    integers.resize(x.size());
    x_scales.resize(static_cast<size_t>(num_rows));
    for (int64_t row = 0; row < num_rows; ++row) {
      float* values = x.data() + row * depth;
      if (format.quantizes_input) {
        uint8_t* rounded = bytes.data() + row * depth;
        const float scale = convert.float32_to_uint8(values, rounded, depth);
        x_scales[static_cast<size_t>(row)] = scale;
        for (int64_t d = 0; d < depth; ++d) {
          values[d] = scale * static_cast<float>(rounded[d] - 128);
        }
      } else if (is_int16) {
        int16_t* rounded = integers.data() + row * depth;
        const float scale = convert.float32_to_int16(values, rounded, depth);
        x_scales[static_cast<size_t>(row)] = scale;
        for (int64_t d = 0; d < depth; ++d) values[d] = scale * static_cast<float>(rounded[d]);
      } else if (x_dtype == Dtype::kBfloat16) {
        for (int64_t d = 0; d < depth; ++d) {
          narrow[static_cast<size_t>(row * depth + d)] = FloatToBFloat16(values[d]);
          values[d] = BFloat16ToFloat(FloatToBFloat16(values[d]));
        }
      }
    }
  }

  std::unique_ptr<char, FreePanels> Pack(const GemmKernels& gemm) const {
    const size_t panel_bytes = gemm.panel_bytes(format, depth);
    const int64_t num_panels = (num_columns + gemm.panel_width - 1) / gemm.panel_width;
    std::unique_ptr<char, FreePanels> panels(static_cast<char*>(std::aligned_alloc(
        kPanelAlignment, panel_bytes * static_cast<size_t>(num_panels) + kPanelAlignment)));
    for (int64_t panel = 0; panel < num_panels; ++panel) {
      const int64_t column = panel * gemm.panel_width;
      gemm.pack_panel({.format = format,
                       .rows = values.data() + column * depth,
                       .num_rows = std::min(gemm.panel_width, num_columns - column),
                       .depth = depth,
                       .panel = panels.get() + static_cast<size_t>(panel) * panel_bytes,
                       .scales = scales.data() + column * num_groups,
                       .zero_points = zero_points.data() + column * num_groups});
    }
    return panels;
  }

  // Computes rows first_row..first_row + count - 1 of the product; y: [count, num_columns].
  void Multiply(const GemmKernels& gemm, const char* panels, int64_t first_row, int64_t count,
                float* y) const {
    const int64_t first = first_row * depth;
    const void* rows = x.data() + first;
    if (x_dtype == Dtype::kBfloat16) rows = narrow.data() + first;
    if (is_int16) rows = integers.data() + first;
    if (format.quantizes_input) rows = bytes.data() + first;
    const int64_t value_bytes =
        format.quantizes_input ? 1 : static_cast<int64_t>(DtypeBytes(x_dtype));
    MultiplyTask(gemm,
                  {.x_dtype = x_dtype,
                   .x = rows,
                   .x_layout = is_int16 ? InputLayout::kInt16Rows : InputLayout::kRows,
                   .x_scales = x_scales.data() + first_row,
                   .x_stride = depth,
                   .num_rows = count,
                   .depth = depth,
                   .format = format,
                   .panels = panels,
                   .bias = bias.data(),
                   .y = y,
                   .y_stride = num_columns,
                   .num_columns = num_columns},
                  depth * value_bytes);
  }

  // Returns the number for which an integer stands, and the parts it is a difference of, added.
  struct Weight {
    double value;
    double magnitude;
  };
  Weight WeightAt(int64_t column, int64_t d) const {
    const int64_t group = format.group_size == 0 ? 0 : d / format.group_size;
    const size_t index = static_cast<size_t>(column * num_groups + group);
    const double integer = values[static_cast<size_t>(column * depth + d)];
    const double zero = format.has_zero_points ? zero_points[index] : 0.0;
    return {(integer - zero) * scales[index],
            (std::abs(integer) + std::abs(zero)) * std::abs(scales[index])};
  }
};

// Checks the product. The sum of `depth` rounded products is off by at most depth rounding errors
// of the sum of their magnitudes (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.1);
// scales and zero points add a few.
void CheckProduct(const CpuKernels& kernels, const WeightFormat& format, Dtype x_dtype,
                  int64_t num_rows, int64_t depth, int64_t num_columns) {
  CAPTURE(NameOf(format));
  CAPTURE(DtypeName(x_dtype));
  CAPTURE(num_rows);
  CAPTURE(depth);
  CAPTURE(num_columns);
  const Product product(kernels, format, x_dtype, num_rows, depth, num_columns);
  const auto panels = product.Pack(kernels.gemm);
  GuardedArray<float> y(num_rows * num_columns, 1);

  product.Multiply(kernels.gemm, panels.get(), 0, num_rows, y.data());

  REQUIRE(y.IsGuardIntact());
  for (int64_t row = 0; row < num_rows; ++row) {
    for (int64_t column = 0; column < num_columns; ++column) {
      double sum = product.bias[static_cast<size_t>(column)];
      double magnitude = std::abs(sum);
      for (int64_t d = 0; d < depth; ++d) {
        const double value = product.x[static_cast<size_t>(row * depth + d)];
        const Product::Weight weight = product.WeightAt(column, d);
        sum += value * weight.value;
        magnitude += std::abs(value) * weight.magnitude;
      }
      const double bound = static_cast<double>(depth + 6) * 0x1p-24 * magnitude;
      const float got = y.data()[row * num_columns + column];
      if (std::abs(got - sum) <= bound) continue;
      FAIL_CHECK("row " << row << " column " << column << ": " << got << ", expected " << sum);
    }
  }
}

TEST_CASE("A quantized gemm multiplies any number of columns") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const WeightFormat& format : Formats()) {
      for (const int64_t num_columns : OddLengths()) {
        CheckProduct(kernels, format, Dtype::kFloat32, 2, 41, num_columns);
      }
    }
  });
}

TEST_CASE("A quantized gemm multiplies over any depth, also none and more than one block") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const WeightFormat& format : Formats()) {
      for (const int64_t depth : {0, 1, 2, 3, 7, 31, 32, 65, 128, 129, 1023, 1024, 1025, 2053, 3072,
                                  3073, 6149}) {
        CheckProduct(kernels, format, Dtype::kFloat32, 3, depth, 19);
        CheckProduct(kernels, format, Dtype::kBfloat16, 3, depth, 19);
      }
    }
  });
}

TEST_CASE("A quantized gemm multiplies any number of rows") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const WeightFormat& format : Formats()) {
      for (int64_t num_rows = 0; num_rows <= 13; ++num_rows) {
        CheckProduct(kernels, format, Dtype::kFloat32, num_rows, 67, 70);
        CheckProduct(kernels, format, Dtype::kBfloat16, num_rows, 67, 70);
      }
      for (const int64_t num_rows : {32, 33, 48, 50, 65}) {
        CheckProduct(kernels, format, Dtype::kBfloat16, num_rows, 611, 150);
      }
    }
  });
}

TEST_CASE("A quantized gemm gives a row the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const WeightFormat& format : Formats()) {
      for (const Dtype x_dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
        CAPTURE(NameOf(format));
        CAPTURE(DtypeName(x_dtype));
        CheckRowsAlone(kernels.gemm, Product(kernels, format, x_dtype, 17, 2051, 75));
        CheckRowsAlone(kernels.gemm, Product(kernels, format, x_dtype, 53, 600, 139));
      }
    }
  });
}

TEST_CASE("A product of integers has the same bits at every level") {
  const int64_t depth = 1031;
  const Product expected(ReferenceKernels(), kInt8Dynamic, Dtype::kFloat32, 3, depth, 21);
  std::vector<float> reference(3 * 21);
  expected.Multiply(ReferenceKernels().gemm, expected.Pack(ReferenceKernels().gemm).get(), 0, 3,
                    reference.data());
  ForEachLevel([&](const CpuKernels& kernels) {
    const Product product(kernels, kInt8Dynamic, Dtype::kFloat32, 3, depth, 21);
    std::vector<float> y(3 * 21);

    product.Multiply(kernels.gemm, product.Pack(kernels.gemm).get(), 0, 3, y.data());

    CHECK_EQ(y, reference);
  });
}

TEST_CASE("The largest integers do not overflow") {
  ForEachLevel([](const CpuKernels& kernels) {
    const int64_t depth = kMaxQuantizedDepth;
    Product product(kernels, kInt8Dynamic, Dtype::kFloat32, 1, depth, 2);
    product.x.assign(static_cast<size_t>(depth), 1.0f);
    product.RoundInput(kernels.convert);
    product.values.assign(static_cast<size_t>(2 * depth), -128);
    product.scales = {1.0f, 1.0f};
    product.bias = {0.0f, 0.0f};
    std::vector<float> y(2);

    product.Multiply(kernels.gemm, product.Pack(kernels.gemm).get(), 0, 1, y.data());

    CHECK_EQ(y[0], doctest::Approx(-128.0 * static_cast<double>(depth)));
    CHECK_EQ(y[1], y[0]);
  });
}

TEST_CASE("The largest int4 and inputs of 16 bits do not overflow") {
  ForEachLevel([](const CpuKernels& kernels) {
    const int64_t depth = 2 * kMaxGroupSize;
    for (const int64_t group_size : {int64_t{0}, kMaxGroupSize}) {
      Product product(kernels, Int4(group_size, Dtype::kFloat32, false), Dtype::kBfloat16, 1, depth, 2);
      product.x.assign(static_cast<size_t>(depth), 1.0f);
      product.RoundInput(kernels.convert);
      product.values.assign(static_cast<size_t>(2 * depth), -8);
      product.scales.assign(product.scales.size(), 1.0f);
      product.bias = {0.0f, 0.0f};
      std::vector<float> y(2);

      product.Multiply(kernels.gemm, product.Pack(kernels.gemm).get(), 0, 1, y.data());

      CHECK_EQ(y[0], doctest::Approx(-8.0 * static_cast<double>(depth)));
      CHECK_EQ(y[1], y[0]);
    }
  });
}

TEST_CASE("A quantized gemm carries NaN to the rows that hold it and to no other") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const WeightFormat& format : Formats()) {
      for (const float bad : {std::nanf(""), INFINITY}) {
        CAPTURE(NameOf(format));
        CAPTURE(bad);
        // bfloat16: integers at the levels that take them.
        const Dtype x_dtype = format.type == WeightType::kInt4 ? Dtype::kBfloat16 : Dtype::kFloat32;
        Product product(kernels, format, x_dtype, 7, 33, 21);
        product.x[2 * 33 + 32] = bad;
        product.RoundInput(kernels.convert);
        const auto panels = product.Pack(kernels.gemm);
        std::vector<float> y(7 * 21);

        product.Multiply(kernels.gemm, panels.get(), 0, 7, y.data());

        for (size_t i = 0; i < y.size(); ++i) CHECK_EQ(!std::isfinite(y[i]), i / 21 == 2);
      }
    }
  });
}

TEST_CASE("A row is rounded to the integers of its largest value") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t length : OddLengths()) {
      CAPTURE(length);
      const std::vector<float> x = RandomFloats(length, 7, 3.0f);
      GuardedArray<uint8_t> y(length, 3);

      const float scale = kernels.convert.float32_to_uint8(x.data(), y.data(), length);

      REQUIRE(y.IsGuardIntact());
      float max = 0.0f;
      for (const float value : x) max = std::max(max, std::abs(value));
      CHECK_EQ(scale, max / 127.0f);
      for (int64_t i = 0; i < length; ++i) {
        const double expected = x[static_cast<size_t>(i)] / static_cast<double>(scale);
        CHECK_LE(std::abs(y.data()[i] - 128 - expected), 0.5001);
      }
    }
  });
}

TEST_CASE("A row is rounded to int16 of its largest value, with the same bits at every level") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const int64_t length : OddLengths()) {
      CAPTURE(length);
      const std::vector<float> x = RandomFloats(length, 7, 3.0f);
      GuardedArray<int16_t> y(length, 3);
      std::vector<int16_t> reference(static_cast<size_t>(length));

      const float scale = kernels.convert.float32_to_int16(x.data(), y.data(), length);
      const float expected =
          ReferenceKernels().convert.float32_to_int16(x.data(), reference.data(), length);

      REQUIRE(y.IsGuardIntact());
      CHECK_EQ(scale, expected);
      CHECK_EQ(y.values(), reference);
      for (int64_t i = 0; i < length; ++i) {
        const double exact = x[static_cast<size_t>(i)] / static_cast<double>(scale);
        CHECK_LE(std::abs(y.data()[i] - exact), 0.51);
      }
    }
  });
}

TEST_CASE("A row of int16 with infinity or NaN has the scale NaN") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const float bad : {std::nanf(""), -INFINITY}) {
      std::vector<float> x(37, 1.0f);
      x[35] = bad;
      std::vector<int16_t> y(37, 1);

      CHECK(std::isnan(kernels.convert.float32_to_int16(x.data(), y.data(), 37)));
      CHECK_EQ(y, std::vector<int16_t>(37, 0));
    }
  });
}

TEST_CASE("A row of zeros is rounded to zeros, and one of tiny numbers to no NaN") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const float value : {0.0f, 1e-44f, 1e-39f}) {
      const std::vector<float> x(37, value);
      std::vector<uint8_t> y(37, 1);
      std::vector<int16_t> halves(37, -1);

      const float scale = kernels.convert.float32_to_uint8(x.data(), y.data(), 37);
      const float scale16 = kernels.convert.float32_to_int16(x.data(), halves.data(), 37);

      CHECK_FALSE(std::isnan(scale));
      CHECK_FALSE(std::isnan(scale16));
      for (const uint8_t byte : y) CHECK_GE(byte, 128);
      for (const int16_t half : halves) CHECK_GE(half, 0);
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
