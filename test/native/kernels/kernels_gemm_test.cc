#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "gemm_products.h"
#include "kernel_levels.h"

namespace autoglm::kernels {
namespace {

constexpr Dtype kDtypes[] = {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16};

// Values rounded to a dtype, as the dtype stores them and as float32.
struct Stored {
  std::vector<char> bytes;
  std::vector<float> values;
};

Stored Store(Dtype dtype, const std::vector<float>& values) {
  Stored stored;
  stored.bytes.resize(values.size() * DtypeBytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == Dtype::kFloat32) {
      std::memcpy(&stored.bytes[4 * i], &values[i], 4);
      stored.values.push_back(values[i]);
      continue;
    }
    const bool is_bfloat16 = dtype == Dtype::kBfloat16;
    const uint16_t bits = is_bfloat16 ? FloatToBFloat16(values[i]) : FloatToFloat16(values[i]);
    std::memcpy(&stored.bytes[2 * i], &bits, 2);
    stored.values.push_back(is_bfloat16 ? BFloat16ToFloat(bits) : Float16ToFloat(bits));
  }
  return stored;
}

// One product: x [num_rows, depth] times the transpose of weight [num_columns, depth], plus bias.
struct Product {
  Dtype x_dtype;
  Dtype weight_dtype;
  int64_t num_rows;
  int64_t depth;
  int64_t num_columns;
  Stored x;
  Stored weight;
  std::vector<float> bias;

  Product(Dtype x_dtype, Dtype weight_dtype, int64_t num_rows, int64_t depth, int64_t num_columns)
      : x_dtype(x_dtype),
        weight_dtype(weight_dtype),
        num_rows(num_rows),
        depth(depth),
        num_columns(num_columns),
        x(Store(x_dtype, RandomFloats(num_rows * depth, 1, 1.0f))),
        weight(Store(weight_dtype, RandomFloats(num_columns * depth, 2, 1.0f))),
        bias(RandomFloats(num_columns, 3, 1.0f)) {}

  std::unique_ptr<char, FreePanels> Pack(const GemmKernels& gemm) const {
    const size_t panel_bytes = gemm.panel_bytes(PlainFormat(weight_dtype), depth);
    const int64_t num_panels = (num_columns + gemm.panel_width - 1) / gemm.panel_width;
    std::unique_ptr<char, FreePanels> panels(static_cast<char*>(std::aligned_alloc(
        kPanelAlignment, panel_bytes * static_cast<size_t>(num_panels) + kPanelAlignment)));
    for (int64_t panel = 0; panel < num_panels; ++panel) {
      const int64_t column = panel * gemm.panel_width;
      gemm.pack_panel({.format = PlainFormat(weight_dtype),
                       .rows = weight.bytes.data() +
                               static_cast<size_t>(column * depth) * DtypeBytes(weight_dtype),
                       .num_rows = std::min(gemm.panel_width, num_columns - column),
                       .depth = depth,
                       .panel = panels.get() + static_cast<size_t>(panel) * panel_bytes});
    }
    return panels;
  }

  // Computes rows first_row..first_row + count - 1 of the product; y: [count, num_columns].
  void Multiply(const GemmKernels& gemm, const char* panels, int64_t first_row, int64_t count,
                float* y) const {
    MultiplyTask(
        gemm,
        {.x_dtype = x_dtype,
         .x = x.bytes.data() + static_cast<size_t>(first_row * depth) * DtypeBytes(x_dtype),
         .x_stride = depth,
         .num_rows = count,
         .depth = depth,
         .format = PlainFormat(weight_dtype),
         .panels = panels,
         .bias = bias.data(),
         .y = y,
         .y_stride = num_columns,
         .num_columns = num_columns},
        depth * static_cast<int64_t>(DtypeBytes(x_dtype)));
  }
};

// Checks the product. The sum of `depth` rounded products is off by at most depth rounding errors
// of the sum of their magnitudes (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
void CheckProduct(const GemmKernels& gemm, const Product& product) {
  CAPTURE(DtypeName(product.x_dtype));
  CAPTURE(DtypeName(product.weight_dtype));
  CAPTURE(product.num_rows);
  CAPTURE(product.depth);
  CAPTURE(product.num_columns);
  const auto panels = product.Pack(gemm);
  GuardedArray<float> y(product.num_rows * product.num_columns, 1);

  product.Multiply(gemm, panels.get(), 0, product.num_rows, y.data());

  REQUIRE(y.IsGuardIntact());
  for (int64_t row = 0; row < product.num_rows; ++row) {
    for (int64_t column = 0; column < product.num_columns; ++column) {
      double sum = product.bias[static_cast<size_t>(column)];
      double magnitude = std::abs(sum);
      for (int64_t d = 0; d < product.depth; ++d) {
        const double term =
            static_cast<double>(product.x.values[static_cast<size_t>(row * product.depth + d)]) *
            product.weight.values[static_cast<size_t>(column * product.depth + d)];
        sum += term;
        magnitude += std::abs(term);
      }
      const double bound = static_cast<double>(product.depth + 1) * 0x1p-24 * magnitude;
      const float got = y.data()[row * product.num_columns + column];
      if (std::abs(got - sum) <= bound) continue;
      FAIL_CHECK("row " << row << " column " << column << ": " << got << ", expected " << sum);
    }
  }
}

TEST_CASE("Rows of bfloat16 held as float32 have the products of those held as bfloat16") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      const Product product(Dtype::kBfloat16, dtype, 7, 1030, 70);
      const GemmKernels& gemm = kernels.gemm;
      const WeightFormat format = PlainFormat(dtype);
      if (gemm.largest_task(format, Dtype::kBfloat16, 1030, 7).x_layout !=
          InputLayout::kFloatRows) {
        continue;
      }
      const auto panels = product.Pack(gemm);
      std::vector<float> wide(7 * 70);
      std::vector<float> narrow(7 * 70);
      product.Multiply(gemm, panels.get(), 0, 7, wide.data());

      gemm.multiply({.x_dtype = Dtype::kBfloat16,
                     .x = product.x.bytes.data(),
                     .x_stride = 1030,
                     .num_rows = 7,
                     .depth = 1030,
                     .format = format,
                     .panels = panels.get(),
                     .bias = product.bias.data(),
                     .y = narrow.data(),
                     .y_stride = 70,
                     .num_columns = 70});

      CHECK_EQ(std::memcmp(wide.data(), narrow.data(), wide.size() * sizeof(float)), 0);
    }
  });
}

TEST_CASE("Gemm multiplies any number of columns") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      for (const int64_t num_columns : OddLengths()) {
        CheckProduct(kernels.gemm, Product(Dtype::kFloat32, dtype, 2, 9, num_columns));
      }
    }
  });
}

TEST_CASE("Gemm multiplies over any depth, also none and more than one block") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      for (const int64_t depth : {0, 1, 2, 7, 64, 65, 1023, 1024, 1025, 1536, 1537, 2050, 3075}) {
        CheckProduct(kernels.gemm, Product(Dtype::kFloat32, dtype, 3, depth, 19));
        CheckProduct(kernels.gemm, Product(Dtype::kBfloat16, dtype, 3, depth, 19));
      }
    }
  });
}

TEST_CASE("Gemm multiplies any number of rows") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      for (int64_t num_rows = 0; num_rows <= 19; ++num_rows) {
        CheckProduct(kernels.gemm, Product(Dtype::kFloat32, dtype, num_rows, 33, 70));
        CheckProduct(kernels.gemm, Product(Dtype::kBfloat16, dtype, num_rows, 33, 70));
      }
      for (const int64_t num_rows : {32, 33, 48, 50, 65}) {
        CheckProduct(kernels.gemm, Product(Dtype::kBfloat16, dtype, num_rows, 611, 150));
      }
    }
  });
}

TEST_CASE("Gemm gives a row the same bits alone as in a batch") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      for (const Dtype x_dtype : {Dtype::kFloat32, Dtype::kBfloat16}) {
        CAPTURE(DtypeName(dtype));
        CAPTURE(DtypeName(x_dtype));
        CheckRowsAlone(kernels.gemm, Product(x_dtype, dtype, 17, 2051, 75));
        CheckRowsAlone(kernels.gemm, Product(x_dtype, dtype, 53, 600, 139));
      }
    }
  });
}

TEST_CASE("Gemm carries infinity and NaN to the rows that hold them and to no other") {
  ForEachLevel([](const CpuKernels& kernels) {
    for (const Dtype dtype : kDtypes) {
      CAPTURE(DtypeName(dtype));
      Product product(Dtype::kFloat32, dtype, 7, 33, 21);
      const float nan = std::nanf("");
      std::memcpy(&product.x.bytes[4 * (2 * 33 + 32)], &nan, 4);
      const auto panels = product.Pack(kernels.gemm);
      std::vector<float> y(7 * 21);

      product.Multiply(kernels.gemm, panels.get(), 0, 7, y.data());

      for (size_t i = 0; i < y.size(); ++i) CHECK_EQ(std::isnan(y[i]), i / 21 == 2);
    }
  });
}

}  // namespace
}  // namespace autoglm::kernels
