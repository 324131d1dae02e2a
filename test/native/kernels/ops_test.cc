#include "kernels/ops.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/float_bits.h"
#include "device/device_id.h"
#include "doctest/doctest.h"
#include "kernel_levels.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/open_device.h"

namespace autoglm {
namespace {

using kernels::RandomFloats;

Device Open(const kernels::CpuKernels& kernels, const DeviceId& id = {}) {
  Result<Device> device = cpu::OpenCpu(kernels, id);
  REQUIRE(device.ok());
  return std::move(device.value());
}

Device OpenReference() { return Open(kernels::ReferenceKernels()); }

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
  REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
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
  REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
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
  REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
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

struct TestedMlp {
  WeightFormat format;
  Dtype activation_dtype;
  int64_t width;
};

// Columns of gates that are whole panels at every level, and columns that are at none.
std::vector<TestedMlp> TestedMlps() {
  std::vector<TestedMlp> mlps;
  for (const int64_t width : {192, 90}) {
    mlps.push_back({PlainFormat(Dtype::kFloat32), Dtype::kFloat32, width});
    mlps.push_back({PlainFormat(Dtype::kBfloat16), Dtype::kBfloat16, width});
    mlps.push_back({{.type = WeightType::kInt8, .quantizes_input = true}, Dtype::kBfloat16, width});
    mlps.push_back({{.type = WeightType::kInt8}, Dtype::kBfloat16, width});
    mlps.push_back({{.type = WeightType::kInt4, .group_size = 32, .scale_dtype = Dtype::kBfloat16},
                    Dtype::kBfloat16,
                    width});
  }
  return mlps;
}

TEST_CASE("At every level a gated MLP has the bits of its products and their gate, in place too") {
  constexpr int64_t kHidden = 70, kMaxRows = 1071;
  kernels::ForEachLevel([&](const kernels::CpuKernels& kernels) {
    const Device device = Open(kernels);
    const Ops& ops = *device.ops;
    OpsContext& context = *device.context;
    for (const auto& [format, activation_dtype, width] : TestedMlps()) {
      CAPTURE(WeightFormatName(format));
      CAPTURE(width);
      const std::vector<float> weights = RandomFloats(2 * width * kHidden, 1, 1.0f);
      const std::vector<float> biases = RandomFloats(2 * width + kHidden, 2, 1.0f);
      const WeightShape shapes[] = {{format, 2 * width, kHidden}, {format, kHidden, width}};
      DeviceBuffer packed[2];
      for (int i = 0; i < 2; ++i) {
        packed[i] = Allocate(device, ops.packed_bytes(context, shapes[i]));
        const WeightRows rows[] = {{weights.data(), Dtype::kFloat32, shapes[i].columns}};
        REQUIRE(ops.prepare_gemm(context, shapes[i]).ok());
        REQUIRE(ops.pack(context, {rows, shapes[i], packed[i].data()}).ok());
      }
      const PackedMatrix gate_up = {shapes[0], packed[0].data()};
      const PackedMatrix down = {shapes[1], packed[1].data()};
      const float* const down_bias = biases.data() + 2 * width;
      for (const int64_t num_rows : {int64_t{1}, int64_t{7}, kMaxRows}) {
        CAPTURE(num_rows);
        std::vector<float> x = RandomFloats(num_rows * kHidden, 3, 1.0f);
        std::vector<float> expected(x.size());
        std::vector<float> halves(static_cast<size_t>(2 * num_rows * width));
        std::vector<float> gated(static_cast<size_t>(num_rows * width));
        const MatrixView rows = View(x, num_rows, kHidden);
        const MatrixView gate_up_rows = View(halves, num_rows, 2 * width);
        const MatrixView gated_rows = View(gated, num_rows, width);
        ops.gemm(context, {rows, gate_up, biases.data(), activation_dtype, gate_up_rows});
        ops.silu_mul(context, {gate_up_rows, gated_rows});
        ops.gemm(context, {gated_rows, down, down_bias, activation_dtype,
                           View(expected, num_rows, kHidden)});

        ops.gated_mlp(context, {.x = rows,
                                .gate_up = gate_up,
                                .gate_up_bias = biases.data(),
                                .down = down,
                                .down_bias = down_bias,
                                .activation_dtype = activation_dtype,
                                .gate_up_rows = gate_up_rows,
                                .gated = gated_rows,
                                .y = rows});

        CHECK(x == expected);
      }
    }
  });
}

TEST_CASE("At every level a rounded row has the bits it has alone, also among the rows of tiles") {
  constexpr int64_t kDepth = 330, kColumns = 90, kNumRows = 1071;
  const WeightFormat formats[] = {PlainFormat(Dtype::kBfloat16),
                                  {.type = WeightType::kInt8, .quantizes_input = true},
                                  {.type = WeightType::kInt8},
                                  {.type = WeightType::kInt4,
                                   .group_size = 64,
                                   .scale_dtype = Dtype::kBfloat16}};
  const std::vector<float> weight = RandomFloats(kColumns * kDepth, 1, 1.0f);
  std::vector<float> x = RandomFloats(kNumRows * kDepth, 2, 1.0f);
  const WeightRows rows[] = {{weight.data(), Dtype::kFloat32, kColumns}};
  kernels::ForEachLevel([&](const kernels::CpuKernels& kernels) {
    const Device device = Open(kernels, DeviceId{});
    for (const WeightFormat& format : formats) {
      CAPTURE(WeightFormatName(format));
      const WeightShape shape = {format, kColumns, kDepth};
      const DeviceBuffer packed =
          Allocate(device, device.ops->packed_bytes(*device.context, shape));
      REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
      REQUIRE(device.ops->pack(*device.context, {rows, shape, packed.data()}).ok());
      const PackedMatrix matrix = {shape, packed.data()};
      std::vector<float> together(kNumRows * kColumns);
      std::vector<float> alone(kColumns);

      device.ops->gemm(*device.context, {View(x, kNumRows, kDepth), matrix, nullptr,
                                         Dtype::kBfloat16, View(together, kNumRows, kColumns)});

      for (int64_t row = 0; row < kNumRows; row += 35) {
        device.ops->gemm(*device.context, {View(x, kNumRows, kDepth).Rows(row, 1), matrix, nullptr,
                                           Dtype::kBfloat16, View(alone, 1, kColumns)});
        CHECK(std::equal(alone.begin(), alone.end(), together.begin() + row * kColumns));
      }
    }
  });
}

TEST_CASE("A product has the same bits on any number of threads, by rows and by panels") {
  constexpr int64_t kDepth = 70, kColumns = 330, kNumRows = 151;
  const std::vector<float> weight = RandomFloats(kColumns * kDepth, 1, 1.0f);
  const std::vector<float> bias = RandomFloats(kColumns, 3, 1.0f);
  std::vector<float> x = RandomFloats(kNumRows * kDepth, 2, 1.0f);
  const WeightRows rows[] = {{weight.data(), Dtype::kFloat32, kColumns}};
  const WeightShape shape = {PlainFormat(Dtype::kBfloat16), kColumns, kDepth};
  kernels::ForEachLevel([&](const kernels::CpuKernels& kernels) {
    std::vector<float> one;  // of all rows on one thread
    for (const size_t num_threads : {1, 2, 3}) {
      // All of them on one core, so that they are there on every machine.
      const Device device =
          Open(kernels, {.cores = std::vector<int>(num_threads, AvailableCores().front())});
      const DeviceBuffer packed =
          Allocate(device, device.ops->packed_bytes(*device.context, shape));
      REQUIRE(device.ops->prepare_gemm(*device.context, shape).ok());
      REQUIRE(device.ops->pack(*device.context, {rows, shape, packed.data()}).ok());
      // Few rows are divided by panels, many by rows.
      for (const int64_t num_rows : {kNumRows, int64_t{64}, int64_t{29}}) {
        CAPTURE(num_threads);
        CAPTURE(num_rows);
        std::vector<float> y(static_cast<size_t>(num_rows * kColumns));

        device.ops->gemm(*device.context,
                         {View(x, kNumRows, kDepth).Rows(0, num_rows), {shape, packed.data()},
                          bias.data(), Dtype::kBfloat16, View(y, num_rows, kColumns)});

        if (one.empty()) one = y;
        CHECK(std::equal(y.begin(), y.end(), one.begin()));
      }
    }
  });
}

TEST_CASE("At every level attention of many sequences gives each the bits it has alone") {
  constexpr int32_t kSequences = 21, kBlocksOfEach = 6;
  constexpr int64_t kHeads = 6, kKvHeads = 3, kHeadDim = 32, kBlockSize = 16;
  constexpr int64_t kBlocks = int64_t{kSequences} * kBlocksOfEach;
  // Sequence i has 4 * i + 3 tokens; every fourth has two queries, the others one.
  std::vector<int32_t> starts = {0};
  std::vector<int32_t> lengths;
  std::vector<int32_t> tables;
  for (int32_t i = 0; i < kSequences; ++i) {
    starts.push_back(starts.back() + (i % 4 == 0 ? 2 : 1));
    lengths.push_back(4 * i + 3);
    for (int32_t block = 0; block < kBlocksOfEach; ++block) {
      tables.push_back(block * kSequences + i);
    }
  }
  const int64_t num_queries = starts.back();
  std::vector<float> q = RandomFloats(num_queries * kHeads * kHeadDim, 1, 2.0f);
  std::vector<float> rows = RandomFloats(2 * kBlocks * kBlockSize * kKvHeads * kHeadDim, 2, 1.0f);
  std::vector<int32_t> slots(static_cast<size_t>(kBlocks * kBlockSize));
  std::iota(slots.begin(), slots.end(), 0);
  kernels::ForEachLevel([&](const kernels::CpuKernels& kernels) {
    const Device device = Open(kernels);
    KvCacheView cache = {nullptr,  nullptr,    KvDtype::kBfloat16,
                         kKvHeads, kBlockSize, kHeadDim};
    const DeviceBuffer memory =
        Allocate(device, 2 * kBlocks * static_cast<size_t>(cache.BlockBytes()));
    cache.keys = memory.as<char>();
    cache.values = memory.as<char>() + kBlocks * cache.BlockBytes();
    const MatrixView all = View(rows, 2 * kBlocks * kBlockSize, kKvHeads * kHeadDim);
    device.ops->store_kv(*device.context, {.keys = all.Rows(0, kBlocks * kBlockSize),
                                           .values = all.Rows(kBlocks * kBlockSize,
                                                              kBlocks * kBlockSize),
                                           .slots = slots.data(),
                                           .cache = cache});
    const auto attend = [&](int32_t first, int32_t count, std::vector<float>& out) {
      std::vector<int32_t> starts_of_these;
      for (int32_t i = 0; i <= count; ++i) {
        starts_of_these.push_back(starts[static_cast<size_t>(first + i)] -
                                  starts[static_cast<size_t>(first)]);
      }
      const int64_t begin = starts[static_cast<size_t>(first)];
      device.ops->paged_attention(
          *device.context,
          {.q = View(q, num_queries, kHeads * kHeadDim).Rows(begin, starts_of_these.back()),
           .num_heads = kHeads,
           .cache = cache,
           .num_sequences = count,
           .query_starts = starts_of_these.data(),
           .context_lens = lengths.data() + first,
           .block_tables = tables.data() + first * kBlocksOfEach,
           .max_blocks_per_sequence = kBlocksOfEach,
           .scale = 0.2f,
           .out = View(out, num_queries, kHeads * kHeadDim).Rows(begin, starts_of_these.back())});
    };
    std::vector<float> together(q.size());
    std::vector<float> alone(q.size());

    attend(0, kSequences, together);
    for (int32_t i = 0; i < kSequences; ++i) attend(i, 1, alone);

    CHECK_NE(together, std::vector<float>(q.size()));
    CHECK_EQ(together, alone);
  });
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

TEST_CASE("Attention over an int8 cache is that over the same rows rounded by hand") {
  constexpr int64_t kTokens = 11, kHeads = 6, kKvHeads = 3, kHeadDim = 5, kBlockSize = 3;
  constexpr int64_t kBlocks = 5, kWidth = kKvHeads * kHeadDim;
  std::vector<float> q = RandomFloats(kTokens * kHeads * kHeadDim, 1, 2.0f);
  std::vector<float> keys = RandomFloats(kTokens * kWidth, 2, 1.0f);
  std::vector<float> values = RandomFloats(kTokens * kWidth, 3, 1.0f);
  const std::vector<int32_t> table = {3, 0, 4, 1};
  std::vector<int32_t> slots;
  for (int32_t i = 0; i < kTokens; ++i) {
    slots.push_back(table[static_cast<size_t>(i / kBlockSize)] * kBlockSize + i % kBlockSize);
  }
  const std::vector<int32_t> starts = {0, kTokens};
  const std::vector<int32_t> lengths = {kTokens};
  const Device device = OpenReference();
  const auto attend = [&](KvDtype dtype) {
    KvCacheView cache = {nullptr, nullptr, dtype, kKvHeads, kBlockSize, kHeadDim};
    const DeviceBuffer memory =
        Allocate(device, 2 * kBlocks * static_cast<size_t>(cache.BlockBytes()));
    cache.keys = memory.as<char>();
    cache.values = memory.as<char>() + kBlocks * cache.BlockBytes();
    device.ops->store_kv(*device.context, {.keys = View(keys, kTokens, kWidth),
                                           .values = View(values, kTokens, kWidth),
                                           .slots = slots.data(),
                                           .cache = cache});
    std::vector<float> out(q.size());
    device.ops->paged_attention(*device.context,
                                {.q = View(q, kTokens, kHeads * kHeadDim),
                                 .num_heads = kHeads,
                                 .cache = cache,
                                 .num_sequences = 1,
                                 .query_starts = starts.data(),
                                 .context_lens = lengths.data(),
                                 .block_tables = table.data(),
                                 .max_blocks_per_sequence = 4,
                                 .scale = 0.4f,
                                 .out = View(out, kTokens, kHeads * kHeadDim)});
    return out;
  };

  const std::vector<float> got = attend(KvDtype::kInt8);

  for (std::vector<float>* rows : {&keys, &values}) {
    for (size_t row = 0; row < rows->size(); row += kHeadDim) {
      float max = 0.0f;
      for (size_t i = row; i < row + kHeadDim; ++i) max = std::max(max, std::abs((*rows)[i]));
      for (size_t i = row; i < row + kHeadDim; ++i) {
        (*rows)[i] = std::nearbyint((*rows)[i] * (127.0f / max)) * (max / 127.0f);
      }
    }
  }
  CHECK_EQ(got, attend(KvDtype::kFloat32));
}

}  // namespace
}  // namespace autoglm
