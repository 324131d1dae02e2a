#include "kernels/packing/quantize_rows.h"

#include <cmath>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"

namespace autoglm {
namespace {

constexpr WeightFormat kInt8 = {.type = WeightType::kInt8};
constexpr WeightFormat kInt4 = {
    .type = WeightType::kInt4, .group_size = 32, .scale_dtype = Dtype::kBfloat16};

struct Quantized {
  bool is_finite;
  std::vector<int8_t> values;
  std::vector<float> scales;
};

Quantized QuantizeWith(const kernels::CpuKernels& kernels, const WeightFormat& format,
                       const std::vector<float>& row) {
  const int64_t depth = static_cast<int64_t>(row.size());
  Quantized quantized;
  quantized.values.resize(row.size());
  quantized.scales.resize(static_cast<size_t>(NumGroups(format, depth)));
  quantized.is_finite = QuantizeRow(kernels.convert, format, row.data(), depth,
                                    {quantized.values.data(), quantized.scales.data()});
  return quantized;
}

Quantized Quantize(const WeightFormat& format, const std::vector<float>& row) {
  return QuantizeWith(kernels::ReferenceKernels(), format, row);
}

TEST_CASE("Every level rounds a row to the integers of the reference") {
  kernels::ForEachLevel([](const kernels::CpuKernels& kernels) {
    for (const size_t depth : {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 85, 1000}) {
      for (const WeightFormat& format : {kInt8, kInt4}) {
        CAPTURE(depth);
        std::vector<float> row = kernels::RandomFloats(static_cast<int64_t>(depth), 7, 1.0f);
        if (depth > 2) row[2] = 0.5f * row[1];

        const Quantized expected = Quantize(format, row);
        const Quantized quantized = QuantizeWith(kernels, format, row);

        CHECK(quantized.is_finite);
        CHECK_EQ(quantized.values, expected.values);
        CHECK_EQ(quantized.scales, expected.scales);

        if (depth == 0) continue;
        row[depth - 1] = INFINITY;
        CHECK_FALSE(QuantizeWith(kernels, format, row).is_finite);
      }
    }
  });
}

TEST_CASE("A weight is at most half a step from its integer") {
  const std::vector<float> row = kernels::RandomFloats(100, 3, 0.05f);

  const Quantized bytes = Quantize(kInt8, row);
  const Quantized nibbles = Quantize(kInt4, row);

  CHECK(bytes.is_finite);
  REQUIRE_EQ(bytes.scales.size(), 1);
  REQUIRE_EQ(nibbles.scales.size(), 4);  // the last group has four weights
  for (size_t i = 0; i < row.size(); ++i) {
    CHECK_LE(std::abs(bytes.values[i] * bytes.scales[0] - row[i]), 0.501f * bytes.scales[0]);
    const float scale = nibbles.scales[i / 32];
    CHECK_GE(nibbles.values[i], -8);
    CHECK_LE(nibbles.values[i], 7);
    // The end of the range that the largest weight is not at is one step short.
    CHECK_LE(std::abs(nibbles.values[i] * scale - row[i]), 1.05f * std::abs(scale));
  }
}

TEST_CASE("The largest weight of a group is the end of the range") {
  std::vector<float> row(32, 0.25f);
  row[5] = 2.0f;
  row[6] = -1.0f;

  const Quantized quantized = Quantize(kInt4, row);

  CHECK_EQ(quantized.scales[0], -0.25f);
  CHECK_EQ(quantized.values[5], -8);
  CHECK_EQ(quantized.values[6], 4);
  CHECK_EQ(quantized.values[0], -1);
}

TEST_CASE("Scales are rounded to their type before the weights are divided by them") {
  const Quantized quantized = Quantize(kInt4, kernels::RandomFloats(64, 9, 1.0f));

  for (const float scale : quantized.scales) {
    CHECK_EQ(scale, BFloat16ToFloat(FloatToBFloat16(scale)));
  }
}

TEST_CASE("Zeros and tiny weights are zeros") {
  for (const float weight : {0.0f, 1e-44f, -1e-40f}) {
    for (const WeightFormat& format : {kInt8, kInt4}) {
      const Quantized quantized = Quantize(format, std::vector<float>(40, weight));

      CHECK(quantized.is_finite);
      for (const float scale : quantized.scales) CHECK(std::isfinite(scale));
    }
  }
}

TEST_CASE("A row with infinity or NaN is not quantized") {
  for (const float bad : {INFINITY, -INFINITY, std::nanf("")}) {
    std::vector<float> row(40, 1.0f);
    row[39] = bad;

    CHECK_FALSE(Quantize(kInt8, row).is_finite);
    CHECK_FALSE(Quantize(kInt4, row).is_finite);
  }
}

}  // namespace
}  // namespace autoglm
