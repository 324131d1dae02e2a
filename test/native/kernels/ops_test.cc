#include "kernels/ops.h"

#include <algorithm>
#include <vector>

#include "base/float_bits.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/open_device.h"

namespace autoglm {
namespace {

using kernels::RandomFloats;

Device OpenReference() { return cpu::OpenCpu(kernels::ReferenceKernels(), DeviceId{}); }

MatrixView View(std::vector<float>& values, int64_t rows, int64_t columns) {
  return DenseMatrix(values.data(), rows, columns);
}

DeviceBuffer Allocate(const Device& device, size_t bytes) {
  Result<DeviceBuffer> buffer = device.ops->allocate(*device.context, bytes);
  REQUIRE(buffer.ok());
  return std::move(buffer.value());
}

TEST_CASE("A packed matrix may be made of rows of several weights of several types") {
  // There are seven columns of bfloat16 and twelve of float32, so that the border falls inside a
  // panel.
  constexpr int64_t kDepth = 5;
  const std::vector<float> first = {1, 2, 3, 4, 5};
  std::vector<uint16_t> narrow;
  for (int row = 0; row < 7; ++row) {
    for (const float value : first) narrow.push_back(FloatToBFloat16(value * (row + 1)));
  }
  std::vector<float> wide(12 * kDepth, 0.5f);
  const Device device = OpenReference();
  const WeightShape shape = {PlainFormat(Dtype::kFloat32), 19, kDepth};
  const DeviceBuffer packed = Allocate(device, device.ops->packed_bytes(*device.context, shape));
  const WeightRows rows[] = {{narrow.data(), Dtype::kBfloat16, 7},
                             {wide.data(), Dtype::kFloat32, 12}};
  REQUIRE(device.ops->pack(*device.context, {rows, shape, packed.data()}).ok());
  const PackedMatrix matrix = {shape, packed.data()};
  std::vector<float> x = {1, 1, 1, 1, 1};
  std::vector<float> y(19);

  device.ops->gemm(*device.context,
                   {View(x, 1, kDepth), matrix, nullptr, Dtype::kFloat32, View(y, 1, 19)});

  for (int column = 0; column < 7; ++column) CHECK_EQ(y[column], 15.0f * (column + 1));
  for (int column = 7; column < 19; ++column) CHECK_EQ(y[column], 2.5f);
}

TEST_CASE("Rounding to bfloat16 acts on the input of a product and on nothing else") {
  std::vector<float> weight = {1.00390625f};  // not a bfloat16
  const Device device = OpenReference();
  const WeightShape shape = {PlainFormat(Dtype::kFloat32), 1, 1};
  const DeviceBuffer packed = Allocate(device, device.ops->packed_bytes(*device.context, shape));
  const WeightRows rows[] = {{weight.data(), Dtype::kFloat32, 1}};
  REQUIRE(device.ops->pack(*device.context, {rows, shape, packed.data()}).ok());
  const PackedMatrix matrix = {shape, packed.data()};
  std::vector<float> x = {1.00390625f};
  std::vector<float> y(1);

  device.ops->gemm(*device.context,
                   {View(x, 1, 1), matrix, nullptr, Dtype::kBfloat16, View(y, 1, 1)});

  CHECK_EQ(y[0], 1.00390625f);
  CHECK_EQ(x[0], 1.00390625f);
}

TEST_CASE("A rounded product of any number of rows gives each row the bits it has alone") {
  constexpr int64_t kDepth = 3, kColumns = 2, kNumRows = 2500;
  const Device device = OpenReference();
  const std::vector<float> weight = RandomFloats(kColumns * kDepth, 1, 1.0f);
  const WeightShape shape = {PlainFormat(Dtype::kBfloat16), kColumns, kDepth};
  const DeviceBuffer packed = Allocate(device, device.ops->packed_bytes(*device.context, shape));
  const WeightRows rows[] = {{weight.data(), Dtype::kFloat32, kColumns}};
  REQUIRE(device.ops->pack(*device.context, {rows, shape, packed.data()}).ok());
  const PackedMatrix matrix = {shape, packed.data()};
  std::vector<float> x = RandomFloats(kNumRows * kDepth, 2, 1.0f);
  std::vector<float> y(kNumRows * kColumns);
  std::vector<float> alone(kColumns);

  device.ops->gemm(*device.context, {View(x, kNumRows, kDepth), matrix, nullptr, Dtype::kBfloat16,
                                     View(y, kNumRows, kColumns)});

  for (int64_t row = 0; row < kNumRows; ++row) {
    device.ops->gemm(*device.context, {View(x, kNumRows, kDepth).Rows(row, 1), matrix, nullptr,
                                       Dtype::kBfloat16, View(alone, 1, kColumns)});
    REQUIRE(std::equal(alone.begin(), alone.end(), y.begin() + row * kColumns));
  }
}

TEST_CASE("Uploading converts between any two types") {
  const Device device = OpenReference();
  const std::vector<float> values = {0.0f, 1.5f, -2.25f, 1024.0f};
  for (const Dtype from : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    for (const Dtype to : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
      CAPTURE(DtypeName(from));
      CAPTURE(DtypeName(to));
      const DeviceBuffer stored = Allocate(device, 64);
      const DeviceBuffer converted = Allocate(device, 64);
      std::vector<float> back(4);

      device.ops->upload(*device.context,
                         {{values.data(), Dtype::kFloat32, {4}}, from, stored.data()});
      device.ops->upload(*device.context, {{stored.data(), from, {4}}, to, converted.data()});
      device.ops->upload(*device.context,
                         {{converted.data(), to, {4}}, Dtype::kFloat32, back.data()});

      CHECK_EQ(back, values);
    }
  }
}

TEST_CASE("A gate multiplies each row by its sigmoid") {
  const Device device = OpenReference();
  const std::vector<float> gate = {0.0f, 100.0f};
  std::vector<float> x = {2.0f, 4.0f, 6.0f, 8.0f};

  device.ops->gate_rows(*device.context, {gate.data(), View(x, 2, 2), View(x, 2, 2)});

  CHECK_EQ(x, std::vector<float>{1.0f, 2.0f, 6.0f, 8.0f});
}

TEST_CASE("Im2col lays a neighbourhood in a row, tap by tap, with zeros outside") {
  const Device device = OpenReference();
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8};  // [2, 2, 2 channels]
  std::vector<float> y(9 * 2);

  device.ops->im2col(*device.context, {{2, 2, 2, 3, 2, 1}, x.data(), View(y, 1, 18)});

  CHECK_EQ(y, std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 5, 6, 7, 8});
}

TEST_CASE("Sampling refuses a row alone, and chooses for the others") {
  const Device device = OpenReference();
  std::vector<float> logits = {1.0f, 3.0f, 2.0f, 5.0f, 4.0f, 6.0f, 9.0f, 7.0f, 8.0f};
  SampleParams params;
  params.vocab_limit = 3;
  std::vector<TokenChoice> choices = {{.sample = params}, {.sample = params}, {.target_token = 1}};
  choices[1].sample->temperature = -1.0f;
  std::vector<ChosenToken> chosen(3);

  device.ops->sample(*device.context, {View(logits, 3, 3), choices, chosen});

  CHECK(chosen[0].status.ok());
  CHECK_EQ(chosen[0].token_id, 1);
  CHECK_EQ(chosen[1].status.reason(), Reason::kInvalidRequest);
  CHECK(chosen[2].status.ok());
  CHECK_EQ(chosen[2].token_id, 1);
}

TEST_CASE("A sum over the ranks of a device alone leaves its values as they are") {
  const Device device = OpenReference();
  std::vector<float> x = {1.0f, -2.0f};

  device.ops->all_reduce(*device.context, {View(x, 1, 2)});

  CHECK_EQ(x, std::vector<float>{1.0f, -2.0f});
}

TEST_CASE("A GPU is refused where there are no kernels for it") {
  const Result<Device> device = OpenDevice({DeviceKind::kCuda, {}, 1});

  REQUIRE_FALSE(device.ok());
  CHECK_EQ(device.status().reason(), Reason::kUnsupported);
  CHECK_NE(device.status().message().find("cuda:1"), std::string::npos);
}

}  // namespace
}  // namespace autoglm
