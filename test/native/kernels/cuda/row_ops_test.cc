#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/float_bits.h"
#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/device_twin.h"
#include "doctest/doctest.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

struct Shape {
  int64_t rows;
  int64_t columns;
  int64_t gap;  // values between rows
};

// Widths below, at and above a warp's and a block's vectors, and rows that are no vectors.
constexpr Shape kShapes[] = {{1, 1, 0},   {3, 7, 2},    {2, 32, 0},   {9, 128, 4},  {5, 129, 0},
                             {2, 1024, 0}, {2, 1028, 8}, {3, 1025, 0}, {1, 4096, 0}, {2, 260, 1}};

MatrixView ViewOf(float* data, const Shape& shape) {
  return {data, shape.rows, shape.columns, shape.columns + shape.gap};
}

std::vector<float> RowsOf(const Shape& shape, uint32_t seed) {
  return RandomFloats(shape.rows * (shape.columns + shape.gap), seed, 2.0f);
}

TEST_CASE("Norms of a GPU are those of a CPU") {
  const Devices devices;
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.rows);
    CAPTURE(shape.columns);
    Twin x(devices, RowsOf(shape, 1));
    Twin weight(devices, RandomFloats(shape.columns, 2, 1.0f));
    Twin bias(devices, RandomFloats(shape.columns, 3, 1.0f));
    for (const auto norm : {&Ops::rms_norm, &Ops::rms_norm_residual, &Ops::layer_norm}) {
      for (const bool has_bias : {false, true}) {
        Twin y(devices, RowsOf(shape, 4));

        OnBoth(devices, [&](const Device& device) {
          (device.ops->*norm)(*device.context, {.x = ViewOf(x.On(device), shape),
                                                .weight = weight.On(device),
                                                .bias = has_bias ? bias.On(device) : nullptr,
                                                .epsilon = 1e-5f,
                                                .y = ViewOf(y.On(device), shape)});
        });

        CheckClose(y, 1e-4);
      }
    }
  }
}

TEST_CASE("A norm may write where it reads") {
  const Devices devices;
  const Shape shape = {3, 1100, 0};
  Twin x(devices, RowsOf(shape, 1));
  Twin weight(devices, RandomFloats(shape.columns, 2, 1.0f));
  OnBoth(devices, [&](const Device& device) {
    const MatrixView view = ViewOf(x.On(device), shape);
    device.ops->layer_norm(*device.context, {view, weight.On(device), nullptr, 1e-5f, view});
  });
  CheckClose(x, 1e-4);
}

TEST_CASE("A row of a norm has the same bits alone and among others") {
  const Devices devices;
  const Shape shape = {7, 1536, 0};
  Twin x(devices, RowsOf(shape, 1));
  Twin weight(devices, RandomFloats(shape.columns, 2, 1.0f));
  Twin together(devices, RowsOf(shape, 3));
  Twin alone(devices, RowsOf(shape, 3));
  const Device& gpu = devices.gpu;
  gpu.ops->rms_norm(*gpu.context, {ViewOf(x.On(gpu), shape), weight.On(gpu), nullptr, 1e-5f,
                                   ViewOf(together.On(gpu), shape)});

  for (int64_t row = 0; row < shape.rows; ++row) {
    gpu.ops->rms_norm(*gpu.context, {ViewOf(x.On(gpu), shape).Rows(row, 1), weight.On(gpu), nullptr,
                                     1e-5f, ViewOf(alone.On(gpu), shape).Rows(row, 1)});
  }

  CHECK_EQ(alone.GpuFloats(), together.GpuFloats());
}

TEST_CASE("Activations and gates of a GPU are those of a CPU") {
  const Devices devices;
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.rows);
    CAPTURE(shape.columns);
    Shape dense = shape;
    dense.gap = 0;
    for (const Activation activation : {Activation::kSilu, Activation::kGeluErf, Activation::kRelu,
                                        Activation::kSigmoid}) {
      Twin x(devices, RowsOf(dense, 1));
      OnBoth(devices, [&](const Device& device) {
        const MatrixView view = ViewOf(x.On(device), dense);
        device.ops->activate(*device.context, {activation, view, view});
      });
      CheckClose(x, 1e-5);
    }
    const Shape doubled = {shape.rows, 2 * shape.columns, shape.gap};
    Twin halves(devices, RowsOf(doubled, 2));
    for (const auto gated : {&Ops::silu_mul, &Ops::glu}) {
      Twin y(devices, RowsOf(shape, 3));
      OnBoth(devices, [&](const Device& device) {
        (device.ops->*gated)(*device.context, {ViewOf(halves.On(device), doubled),
                                               ViewOf(y.On(device), shape)});
      });
      CheckClose(y, 1e-5);
    }
    Twin x(devices, RowsOf(dense, 4));
    Twin y(devices, RowsOf(dense, 5));
    OnBoth(devices, [&](const Device& device) {
      device.ops->add_scaled(*device.context, {ViewOf(x.On(device), dense), 0.5f,
                                               ViewOf(y.On(device), dense)});
    });
    CHECK_EQ(y.GpuFloats(), y.CpuFloats());
    Twin gate(devices, RandomFloats(shape.rows, 6, 2.0f));
    Twin rows(devices, RowsOf(shape, 7));
    OnBoth(devices, [&](const Device& device) {
      const MatrixView view = ViewOf(rows.On(device), shape);
      device.ops->gate_rows(*device.context, {gate.On(device), view, view});
    });
    CheckClose(rows, 1e-5);
  }
}

TEST_CASE("Rows of tables of every type are gathered") {
  const Devices devices;
  constexpr int64_t kTableRows = 11;
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.columns);
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < shape.rows; ++i) rows.push_back(static_cast<int32_t>(7 * i % 11));
    Twin indices(devices, rows);
    const std::vector<float> values = RandomFloats(kTableRows * shape.columns, 1, 3.0f);
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
      CAPTURE(DtypeName(dtype));
      std::vector<uint16_t> narrow;
      for (const float value : values) {
        narrow.push_back(dtype == Dtype::kBfloat16 ? FloatToBFloat16(value)
                                                   : FloatToFloat16(value));
      }
      Twin table = dtype == Dtype::kFloat32 ? Twin(devices, values) : Twin(devices, narrow);
      Twin y(devices, RowsOf(shape, 2));
      OnBoth(devices, [&](const Device& device) {
        device.ops->gather(*device.context, {.table = table.On<void>(device),
                                             .dtype = dtype,
                                             .num_rows = kTableRows,
                                             .rows = indices.On<int32_t>(device),
                                             .y = ViewOf(y.On(device), shape)});
      });
      CHECK_EQ(y.GpuFloats(), y.CpuFloats());
    }
  }
}

TEST_CASE("Pairs of both kinds are rotated bit for bit as a CPU does") {
  const Devices devices;
  constexpr int64_t kRows = 5, kHeads = 3, kHeadDim = 24, kPairs = 9;
  const Shape shape = {kRows, kHeads * kHeadDim, 5};
  Twin cos(devices, RandomFloats(kRows * kPairs, 1, 1.0f));
  Twin sin(devices, RandomFloats(kRows * kPairs, 2, 1.0f));
  for (const RopePairs pairs : {RopePairs::kInterleaved, RopePairs::kHalves}) {
    Twin x(devices, RowsOf(shape, 3));
    OnBoth(devices, [&](const Device& device) {
      device.ops->rope(*device.context, {.pairs = pairs,
                                         .x = ViewOf(x.On(device), shape),
                                         .num_heads = kHeads,
                                         .num_pairs = kPairs,
                                         .cos = cos.On(device),
                                         .sin = sin.On(device)});
    });
    CHECK_EQ(x.GpuFloats(), x.CpuFloats());
  }
}

TEST_CASE("Caches of every type are stored bit for bit as a CPU does") {
  const Devices devices;
  for (const KvDtype dtype : {KvDtype::kFloat32, KvDtype::kBfloat16, KvDtype::kInt8}) {
    for (const int64_t head_dim : {8, 33, 128, 256}) {
      CAPTURE(KvDtypeName(dtype));
      CAPTURE(head_dim);
      KvCacheView cache = {.keys = nullptr,
                           .values = nullptr,
                           .dtype = dtype,
                           .num_kv_heads = 3,
                           .block_size = 5,
                           .head_dim = head_dim};
      const Shape shape = {7, cache.num_kv_heads * head_dim, 2};
      std::vector<float> rows = RowsOf(shape, 1);
      rows[3] = std::numeric_limits<float>::infinity();
      for (int64_t i = 0; i < head_dim; ++i) {
        rows[static_cast<size_t>(2 * (shape.columns + shape.gap) + i)] = 0.0f;
        rows[static_cast<size_t>(3 * (shape.columns + shape.gap) + i)] = 1e-37f;
      }
      Twin keys(devices, rows);
      Twin values(devices, RowsOf(shape, 2));
      Twin slots(devices, std::vector<int32_t>{19, 0, 7, 8, 9, -1, 14});
      const std::vector<float> empty(static_cast<size_t>(4 * cache.BlockBytes() / 4));
      Twin key_plane(devices, empty);
      Twin value_plane(devices, empty);

      OnBoth(devices, [&](const Device& device) {
        KvCacheView view = cache;
        view.keys = key_plane.On<void>(device);
        view.values = value_plane.On<void>(device);
        device.ops->store_kv(*device.context, {ViewOf(keys.On(device), shape),
                                               ViewOf(values.On(device), shape),
                                               slots.On<int32_t>(device), view});
      });

      for (Twin* plane : {&key_plane, &value_plane}) {
        const std::vector<float> actual = plane->GpuFloats();
        const std::vector<float> expected = plane->CpuFloats();
        for (size_t i = 0; i < expected.size(); ++i) {
          const bool are_nan = std::isnan(actual[i]) && std::isnan(expected[i]);
          CAPTURE(i);
          REQUIRE((are_nan || std::memcmp(&actual[i], &expected[i], sizeof(float)) == 0));
        }
      }
    }
  }
}

TEST_CASE("Uploading to a GPU converts between any two types") {
  const Devices devices;
  const Device& gpu = devices.gpu;
  const std::vector<float> values = {0.0f, 1.5f, -2.25f, 1024.0f};
  const auto stored_as = [&](Dtype dtype) {
    std::vector<char> bytes;
    for (const float value : values) {
      const uint16_t bits =
          dtype == Dtype::kBfloat16 ? FloatToBFloat16(value) : FloatToFloat16(value);
      const char* data = dtype == Dtype::kFloat32 ? reinterpret_cast<const char*>(&value)
                                                  : reinterpret_cast<const char*>(&bits);
      bytes.insert(bytes.end(), data, data + DtypeBytes(dtype));
    }
    return bytes;
  };
  for (const Dtype from : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    for (const Dtype to : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
      CAPTURE(DtypeName(from));
      CAPTURE(DtypeName(to));
      Result<DeviceBuffer> target = gpu.ops->allocate(*gpu.context, 4 * DtypeBytes(to));
      REQUIRE(target.ok());
      gpu.ops->upload(*gpu.context,
                      {{stored_as(from).data(), from, {4}}, to, target.value().data()});
      std::vector<float> back(DtypeBytes(to));
      std::memcpy(back.data(),
                  gpu.ops->host_rows(*gpu.context, DenseMatrix(target.value().as<float>(), 1,
                                                               static_cast<int64_t>(back.size()))),
                  back.size() * sizeof(float));
      CHECK_EQ(std::memcmp(back.data(), stored_as(to).data(), stored_as(to).size()), 0);
    }
  }
}

// A GPU of the emulator is as large as the test wants.
#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("A GPU without room says how much there is and what would help") {
  simt::Machine().properties.memory_bytes = uint64_t{1} << 30;
  const Devices devices;
  const Device& gpu = devices.gpu;

  const Result<DeviceBuffer> refused = gpu.ops->allocate(*gpu.context, size_t{2} << 30);

  CHECK_EQ(refused.status().reason(), Reason::kOutOfMemory);
  CHECK_EQ(refused.status().message(),
           "cuda:0 is out of memory: 2.00 GiB were asked for, 0.94 GiB of the 1.00 GiB of cuda:0 "
           "are free; a shorter context, fewer sequences, quantized weights or a second GPU need "
           "less of it");
  CHECK_EQ(gpu.ops->free_memory(*gpu.context).bytes, (uint64_t{1} << 30) - kAttentionScratchBytes);
  simt::Machine() = {};
}
#endif

}  // namespace
}  // namespace autoglm::cuda
