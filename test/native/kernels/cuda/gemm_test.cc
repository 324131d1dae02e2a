// Products of a GPU against those of the reference, through the emulator.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/float_bits.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/gemm/layout.h"
#include "kernels/cuda/gemm/plan.h"
#include "kernels/cuda/packed_product.h"
#include "kernels/kernel_levels.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

constexpr WeightFormat kBfloat16 = {.type = WeightType::kBfloat16};
constexpr WeightFormat kFloat16 = {.type = WeightType::kFloat16};
constexpr WeightFormat kInt8 = {.type = WeightType::kInt8};
constexpr WeightFormat kInt8ByInt8 = {.type = WeightType::kInt8, .quantizes_input = true};

WeightFormat Grouped(WeightType type, int64_t group_size, Dtype scale_dtype,
                     bool has_zero_points) {
  return {.type = type,
          .group_size = group_size,
          .scale_dtype = scale_dtype,
          .has_zero_points = has_zero_points};
}

// The formats that are multiplied on tensor cores.
std::vector<WeightFormat> RoundedFormats() {
  return {kBfloat16,
          kFloat16,
          kInt8ByInt8,
          kInt8,
          Grouped(WeightType::kInt8, 128, Dtype::kFloat16, true),
          Grouped(WeightType::kInt4, 32, Dtype::kBfloat16, false),
          Grouped(WeightType::kInt4, 64, Dtype::kFloat16, true),
          Grouped(WeightType::kInt4, 128, Dtype::kBfloat16, true),
          Grouped(WeightType::kInt4, 0, Dtype::kFloat32, false)};
}

std::string NameOf(const WeightFormat& format) {
  return std::string(WeightFormatName(format)) + " group " + std::to_string(format.group_size) +
         (format.has_zero_points ? " asymmetric" : "") + (format.quantizes_input ? " dynamic" : "");
}

// A number that every scale type holds exactly.
float ExactScale(float value) {
  return Float16ToFloat(FloatToFloat16(BFloat16ToFloat(FloatToBFloat16(value))));
}

// Numbers of a weight: floats, or integers if the format has zero points, which no float has.
struct Numbers {
  WeightShape shape;
  std::vector<float> floats;
  std::vector<int8_t> integers;
  std::vector<float> scales;
  std::vector<int8_t> zero_points;

  explicit Numbers(const WeightShape& shape) : shape(shape) {
    floats = RandomFloats(shape.columns * shape.depth, 2, 1.0f);
    floats.reserve(1);  // no data would say that there are integers
    if (!shape.format.has_zero_points) return;
    const float limit = shape.format.type == WeightType::kInt4 ? 8.0f : 128.0f;
    const int64_t num_groups = NumGroups(shape.format, shape.depth);
    for (const float value : floats) {
      integers.push_back(static_cast<int8_t>(std::floor(value * limit)));
    }
    for (const float value : RandomFloats(shape.columns * num_groups, 4, 1.0f / limit)) {
      scales.push_back(ExactScale(value));
    }
    for (const float value : RandomFloats(shape.columns * num_groups, 5, limit)) {
      zero_points.push_back(static_cast<int8_t>(std::floor(value)));
    }
  }

  WeightRows Rows(int64_t begin, int64_t count) const {
    const int64_t num_groups = NumGroups(shape.format, shape.depth);
    if (integers.empty()) {
      return {floats.data() + begin * shape.depth, Dtype::kFloat32, count, {}};
    }
    return {nullptr,
            Dtype::kFloat32,
            count,
            {integers.data() + begin * shape.depth, scales.data() + begin * num_groups,
             zero_points.data() + begin * num_groups}};
  }
};

std::vector<float> ReferenceProduct(const Numbers& numbers, const std::vector<float>& bias,
                                    std::vector<float> x, int64_t num_rows,
                                    Dtype activation_dtype) {
  const WeightShape& shape = numbers.shape;
  const Result<Device> opened = cpu::OpenCpu(kernels::ReferenceKernels(), DeviceId{});
  REQUIRE(opened.ok());
  const Device& device = opened.value();
  Result<DeviceBuffer> packed =
      device.ops->allocate(*device.context, device.ops->packed_bytes(*device.context, shape));
  REQUIRE(packed.ok());
  const WeightRows sources[] = {numbers.Rows(0, shape.columns)};
  REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
  REQUIRE(device.ops->pack(*device.context, {sources, shape, packed.value().data()}).ok());
  std::vector<float> y(static_cast<size_t>(num_rows * shape.columns));
  device.ops->gemm(*device.context,
                   {.x = DenseMatrix(x.data(), num_rows, shape.depth),
                    .weight = {shape, packed.value().data()},
                    .bias = bias.data(),
                    .activation_dtype = activation_dtype,
                    .y = DenseMatrix(y.data(), num_rows, shape.columns)});
  return y;
}

// Checks y against the reference. Sums of `depth` products differ in their order: their rounding
// errors add like a random walk, of which eight deviations are allowed.
void CheckClose(const std::vector<float>& y, const std::vector<float>& expected, int64_t depth) {
  REQUIRE_EQ(y.size(), expected.size());
  const double bound = 8 * std::sqrt(static_cast<double>(depth)) * 0x1p-24 *
                       static_cast<double>(depth + 4) / 4;
  for (size_t i = 0; i < y.size(); ++i) {
    if (std::abs(y[i] - expected[i]) <= bound + 1e-6 * std::abs(expected[i])) continue;
    FAIL_CHECK("number " << i << ": " << y[i] << ", expected " << expected[i] << " within "
                         << bound);
    return;
  }
}

// Checks that some rows alone have the bits they have among all.
void CheckRowsAlone(const Packed& packed, const std::vector<float>& x,
                    const std::vector<float>& together, int64_t num_rows,
                    Dtype activation_dtype) {
  const int64_t depth = packed.shape.depth;
  const int64_t columns = packed.shape.columns;
  int64_t row = 0;
  for (const int64_t count : {1, 2, 7, 8, 16, 17, 64}) {
    if (count > num_rows) continue;
    row = std::min(row, num_rows - count);
    CAPTURE(count);
    const std::vector<float> some(x.begin() + row * depth, x.begin() + (row + count) * depth);
    const std::vector<float> alone = packed.Multiply(some, count, activation_dtype);
    const bool are_equal =
        std::memcmp(alone.data(), together.data() + row * columns, alone.size() * 4) == 0;
    CHECK(are_equal);
    row = (row + count) % num_rows;
  }
}

// Multiplies by one weight as many rows as blocks of every shape take, and some of them alone.
void CheckProducts(const Gpu& gpu, const WeightShape& shape, int64_t num_rows,
                   Dtype activation_dtype) {
  CAPTURE(NameOf(shape.format));
  CAPTURE(shape.columns);
  CAPTURE(shape.depth);
  CAPTURE(num_rows);
  const Numbers numbers(shape);
  const std::vector<float> bias = RandomFloats(shape.columns, 3, 1.0f);
  const std::vector<float> x = RandomFloats(num_rows * shape.depth, 1, 1.0f);
  Packed packed(gpu, numbers, bias);
  packed.x_gap = shape.depth % 4 == 0 ? 4 : 1;  // loads of 16 bytes where they are possible

  const std::vector<float> y = packed.Multiply(x, num_rows, activation_dtype);

  CheckClose(y, ReferenceProduct(numbers, bias, x, num_rows, activation_dtype), shape.depth);
  CheckRowsAlone(packed, x, y, num_rows, activation_dtype);
}

TEST_CASE("A GPU multiplies every format as the reference does, a row alone as among others") {
  const Gpu gpu;
  for (const WeightFormat& format : RoundedFormats()) {
    CheckProducts(gpu, {format, 75, 332}, 100, Dtype::kBfloat16);
  }
}

// A GPU of the emulator has as many multiprocessors as the test wants.
#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("Chunks of the depth add up alike, whether one block computes them or several") {
  int& num_multiprocessors = simt::Machine().properties.num_multiprocessors;
  const int usual = num_multiprocessors;
  for (const WeightFormat& format :
       {kBfloat16, kInt8ByInt8, Grouped(WeightType::kInt4, 128, Dtype::kBfloat16, false)}) {
    const WeightShape shape = {format, 160, kChunkDepth + 4};
    const GemmRows many = {70, true};
    // Where there is one multiprocessor, only blocks of fewer rows divide the depth.
    num_multiprocessors = 1;
    CHECK_EQ(PlanGemm(shape, many, num_multiprocessors).num_depth_blocks, 1);
    CHECK_EQ(PlanGemm(shape, {1, true}, num_multiprocessors).num_depth_blocks, 2);
    CheckProducts(Gpu(), shape, many.count, Dtype::kBfloat16);
    num_multiprocessors = usual;
    CheckProducts(Gpu(), {format, 35, 2 * kChunkDepth + 132}, 33, Dtype::kBfloat16);
  }
}
#endif

TEST_CASE("A GPU multiplies any number of columns and any depth") {
  const Gpu gpu;
  for (const int64_t columns : {1, 15, 64, 129}) {
    for (const int64_t depth : {0, 1, 7, 68}) {
      for (const WeightFormat& format :
           {kBfloat16, kFloat16, kInt8, kInt8ByInt8,
            Grouped(WeightType::kInt4, 32, Dtype::kBfloat16, true)}) {
        CheckProducts(gpu, {format, columns, depth}, depth == 68 ? 40 : 3, Dtype::kBfloat16);
      }
    }
  }
}

TEST_CASE("Floats that tensor cores would round are multiplied without them") {
  const Gpu gpu;
  std::vector<WeightFormat> formats = RoundedFormats();
  formats.push_back({.type = WeightType::kFloat32});
  for (const WeightFormat& format : formats) {
    if (format.quantizes_input) continue;
    CheckProducts(gpu, {format, 75, 131}, 19, Dtype::kFloat32);
  }
  CheckProducts(gpu, {{.type = WeightType::kFloat32}, 65, 70}, 66, Dtype::kBfloat16);
}

TEST_CASE("A product of integers has the bits of the reference") {
  const Numbers numbers({kInt8ByInt8, 21, kChunkDepth + 7});
  const std::vector<float> bias = RandomFloats(21, 3, 1.0f);
  const std::vector<float> x = RandomFloats(3 * (kChunkDepth + 7), 1, 1.0f);
  const Gpu gpu;
  const Packed packed(gpu, numbers, bias);

  const std::vector<float> y = packed.Multiply(x, 3, Dtype::kBfloat16);

  CHECK_EQ(y, ReferenceProduct(numbers, bias, x, 3, Dtype::kBfloat16));
}

TEST_CASE("A number that is not finite spoils its own row alone") {
  const Gpu gpu;
  for (const WeightFormat& format : RoundedFormats()) {
    for (const float bad : {std::nanf(""), INFINITY}) {
      CAPTURE(NameOf(format));
      const Numbers numbers({format, 21, 70});
      std::vector<float> x = RandomFloats(7 * 70, 1, 1.0f);
      x[2 * 70 + 69] = bad;
      const Packed packed(gpu, numbers, std::vector<float>(21, 0.5f));

      const std::vector<float> y = packed.Multiply(x, 7, Dtype::kBfloat16);

      for (size_t i = 0; i < y.size(); ++i) CHECK_EQ(std::isfinite(y[i]), i / 21 != 2);
    }
  }
}

TEST_CASE("A product of more rows than are rounded at a time gives each the bits it has alone") {
  const WeightShape shape = {kBfloat16, 5, 3};
  const int64_t num_rows = RowsPerTurn(shape) + 9;
  const Gpu gpu;
  const Packed packed(gpu, Numbers(shape), std::vector<float>(5, 0.5f));
  const std::vector<float> x = RandomFloats(num_rows * 3, 1, 1.0f);

  const std::vector<float> y = packed.Multiply(x, num_rows, Dtype::kBfloat16);

  CheckRowsAlone(packed, std::vector<float>(x.end() - 70 * 3, x.end()),
                 std::vector<float>(y.end() - 70 * 5, y.end()), 70, Dtype::kBfloat16);
}

// The emulator counts launches.
#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("Up to eight rows take one launch where their rows can be read four depths at a time") {
  const Gpu gpu;
  const auto launches = [&](const WeightFormat& format, int64_t num_rows, int64_t gap) {
    const WeightShape shape = {format, 17, 64};
    Packed packed(gpu, Numbers(shape), std::vector<float>(17, 0.5f));
    packed.x_gap = gap;
    const uint64_t before = simt::NumLaunches();
    packed.Multiply(RandomFloats(num_rows * 64, 1, 1.0f), num_rows, Dtype::kBfloat16);
    return simt::NumLaunches() - before;
  };

  CHECK_EQ(launches(kBfloat16, 8, 4), 1);
  CHECK_EQ(launches(kBfloat16, 8, 1), 2);
  CHECK_EQ(launches(kBfloat16, 9, 4), 2);
  CHECK_EQ(launches(kInt8ByInt8, 1, 4), 2);
}
#endif

TEST_CASE("A GPU refuses to round weights that are not finite") {
  for (const float bad : {std::nanf(""), -INFINITY}) {
    const WeightShape shape = {kInt8, 33, 40};
    Numbers numbers(shape);
    numbers.floats[32 * 40 + 39] = bad;
    const Gpu gpu;
    const DeviceBuffer memory = gpu.Allocate(static_cast<size_t>(LayoutOf(shape).bytes()));
    const WeightRows sources[] = {numbers.Rows(0, 33)};

    const Status status = gpu.ops().pack(gpu.context(), {sources, shape, memory.data()});

    CHECK_EQ(status.reason(), Reason::kInvalidCheckpoint);
    CHECK(status.message().find("load it without quantization") != std::string::npos);
  }
}

TEST_CASE("A GPU refuses zero points and groups that its kernels cannot take") {
  const WeightShape shape = {Grouped(WeightType::kInt4, 32, Dtype::kBfloat16, true), 1, 32};
  Numbers numbers(shape);
  numbers.zero_points[0] = 125;
  const Gpu gpu;
  const DeviceBuffer memory = gpu.Allocate(static_cast<size_t>(LayoutOf(shape).bytes()));
  const WeightRows sources[] = {numbers.Rows(0, 1)};

  const Status packed = gpu.ops().pack(gpu.context(), {sources, shape, memory.data()});
  const Status prepared = gpu.ops().prepare_gemm(
      gpu.context(), {Grouped(WeightType::kInt4, 48, Dtype::kBfloat16, false), 1, 96});

  CHECK_EQ(packed.reason(), Reason::kInvalidCheckpoint);
  CHECK(packed.message().find("zero point 125") != std::string::npos);
  CHECK_EQ(prepared.reason(), Reason::kUnsupported);
  CHECK(prepared.message().find("groups of 48") != std::string::npos);
}

TEST_CASE("Packed weights take what their numbers take, and little beside") {
  const auto bytes = [](const WeightFormat& format) {
    return LayoutOf({format, 4096, 4096}).bytes();
  };

  CHECK_EQ(bytes(kBfloat16), 2 * 4096 * 4096);
  CHECK_EQ(bytes(kInt8ByInt8), 4096 * 4096 + 4 * 4096);
  CHECK_EQ(bytes(Grouped(WeightType::kInt4, 128, Dtype::kBfloat16, false)),
           4096 * 4096 / 2 + 4096 * 4096 / 128 * 2);
}

TEST_CASE("Any number of rows finds the memory that was prepared for its weight") {
  for (const WeightFormat& format : RoundedFormats()) {
    for (const int64_t columns : {5, 1500, 4096, 30000, 151552}) {
      for (const int64_t depth : {64, 4096, 13696}) {
        const WeightShape shape = {format, columns, depth};
        const GemmScratchBytes scratch = ScratchOf(shape, 132);
        for (const int64_t num_rows : {1, 8, 9, 32, 33, 64, 65, 128, 129, 700, 2048}) {
          CAPTURE(columns);
          CAPTURE(num_rows);
          const GemmPlan plan = PlanGemm(shape, {num_rows, true}, 132);
          const BlockShape block = ShapeOf(plan.count, NumbersOf(format));
          const int64_t num_blocks = int64_t{plan.num_row_blocks} * plan.num_column_blocks;
          CHECK_GE(plan.num_row_blocks * block.NumRows(), num_rows);
          CHECK_GE(plan.num_column_blocks * block.NumColumns(), columns);
          CHECK_LE(RowsPerTurn(shape) * InputRowBytes(shape), scratch.input);
          if (plan.num_depth_blocks == 1) continue;
          CHECK_LE(num_blocks * plan.num_depth_blocks * block.NumRows() * block.NumColumns() * 4,
                   scratch.partials);
          CHECK_LE(num_blocks * 4, scratch.arrivals);
        }
      }
    }
  }
}

}  // namespace
}  // namespace autoglm::cuda
