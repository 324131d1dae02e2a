// Weights and inputs of fp8 on a GPU. What a number is rounded to is looked up here among all numbers of
// e4m3, so that nothing of the kernels is used to judge them.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/gemm/layout.h"
#include "kernels/kernel_levels.h"
#include "kernels/open_device.h"
#include "model/checkpoint/json.h"
#include "model/checkpoint/quantized_words.h"
#include "temporary_directory.h"

#if defined(AUTOGLM_SIMT_EMULATOR)
#include "simt/emulated_gpu.h"
#endif

// They are included last, because their CHECK replaces the one of base/check.h.
#include "kernels/cuda/gpu_decoder.h"
#include "kernels/cuda/packed_product.h"

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

constexpr WeightFormat kFp8 = {.type = WeightType::kFp8, .quantizes_input = true};
constexpr float kLargestFp8 = 448.0f;

// Returns the bits of the nearest number of e4m3; of two as near, the one whose last bit is 0.
uint8_t NearestFp8(float value) {
  const std::array<float, 256>& numbers = Fp8Floats();
  int nearest = 0;
  for (int bits = 0; bits < 256; ++bits) {
    const float distance = std::abs(numbers[static_cast<size_t>(bits)] - value);
    const float least = std::abs(numbers[static_cast<size_t>(nearest)] - value);
    if (distance < least || (distance == least && bits % 2 == 0)) nearest = bits;
  }
  return static_cast<uint8_t>(nearest);
}

float RoundToFp8(float value) { return Fp8Floats()[NearestFp8(value)]; }

// A weight of fp8 with one scale a column.
struct Fp8Numbers {
  explicit Fp8Numbers(const WeightShape& shape)
      : shape(shape), scales(RandomFloats(shape.columns, 3, 0.01f)) {
    for (const float value : RandomFloats(shape.columns * shape.depth, 2, 200.0f)) {
      bits.push_back(static_cast<int8_t>(NearestFp8(value)));
    }
  }
  WeightRows Rows(int64_t begin, int64_t count) const {
    return {nullptr, Dtype::kFloat32, count,
            {bits.data() + begin * shape.depth, scales.data() + begin, nullptr}};
  }
  float At(int64_t column, int64_t depth) const {
    return Fp8Floats()[static_cast<uint8_t>(bits[static_cast<size_t>(column * shape.depth + depth)])];
  }

  WeightShape shape;
  std::vector<int8_t> bits;
  std::vector<float> scales;
};

struct Expected {
  double sum;
  double magnitudes;  // sum of the magnitudes of what is added
};

// Multiplies a row, rounded to fp8 by its largest magnitude or as it is, with a column.
Expected ProductOf(const Fp8Numbers& numbers, const float* row, int64_t column, bool rounds) {
  const int64_t depth = numbers.shape.depth;
  float max = 0.0f;
  for (int64_t d = 0; d < depth; ++d) max = std::max(max, std::abs(row[d]));
  const float inverse = max > 0.0f ? kLargestFp8 / max : 0.0f;
  const double row_scale = max / kLargestFp8;
  Expected expected = {};
  for (int64_t d = 0; d < depth; ++d) {
    const double x = rounds ? RoundToFp8(row[d] * inverse) * row_scale : row[d];
    const double product =
        x * numbers.At(column, d) * numbers.scales[static_cast<size_t>(column)];
    expected.sum += product;
    expected.magnitudes += std::abs(product);
  }
  return expected;
}

// Returns true where the GPU multiplies fp8; says so where it does not.
bool HasFp8(const Gpu& gpu) {
  const bool has_fp8 = gpu.ops().multiplies_fp8(gpu.context());
  if (!has_fp8) MESSAGE("skipped: this GPU does not multiply fp8");
  return has_fp8;
}

std::vector<float> Row(const std::vector<float>& x, int64_t row, int64_t columns) {
  return std::vector<float>(x.begin() + row * columns, x.begin() + (row + 1) * columns);
}

TEST_CASE("A GPU multiplies fp8 by rows that it rounds to fp8, a row alone as among others") {
  const Gpu gpu;
  if (!HasFp8(gpu)) return;
  struct Sizes {
    int64_t columns;
    int64_t depth;
    int64_t num_rows;
  };
  for (const Sizes& sizes : {Sizes{75, 332, 100}, Sizes{17, kChunkDepth + 68, 9}, Sizes{5, 3, 2}}) {
    CAPTURE(sizes.depth);
    const auto [columns, depth, num_rows] = sizes;
    const Fp8Numbers numbers({kFp8, columns, depth});
    const std::vector<float> x = RandomFloats(num_rows * depth, 1, 1.0f);
    const std::vector<float> bias = RandomFloats(columns, 5, 1.0f);
    const Packed packed(gpu, numbers, bias);

    const std::vector<float> y = packed.Multiply(x, num_rows, Dtype::kBfloat16);

    for (int64_t row = 0; row < num_rows; row += 1 + row / 2) {
      CAPTURE(row);
      const std::vector<float> alone = packed.Multiply(Row(x, row, depth), 1, Dtype::kBfloat16);
      CHECK_EQ(std::memcmp(alone.data(), y.data() + row * columns, alone.size() * 4), 0);
      for (int64_t column = 0; column < columns; ++column) {
        const Expected expected = ProductOf(numbers, x.data() + row * depth, column, true);
        const double biased = expected.sum + bias[static_cast<size_t>(column)];
        const double bound = 1e-5 * (expected.magnitudes + 1.0);
        CHECK_LE(std::abs(y[static_cast<size_t>(row * columns + column)] - biased), bound);
      }
    }
  }
}

TEST_CASE("A product of fp8 is that of the rows as they are, as far as three bits of mantissa go") {
  const Gpu gpu;
  if (!HasFp8(gpu)) return;
  constexpr int64_t kColumns = 40;
  constexpr int64_t kDepth = 256;
  const Fp8Numbers numbers({kFp8, kColumns, kDepth});
  const std::vector<float> x = RandomFloats(kDepth, 1, 1.0f);
  std::vector<float> expected;
  for (int64_t column = 0; column < kColumns; ++column) {
    expected.push_back(static_cast<float>(ProductOf(numbers, x.data(), column, false).sum));
  }

  const std::vector<float> y = Packed(gpu, numbers, std::vector<float>(kColumns, 0.0f))
                                   .Multiply(x, 1, Dtype::kBfloat16);

  CHECK_LT(RelativeError(y, expected), 0.04);
}

TEST_CASE("A number that is not finite spoils its own row of fp8 alone") {
  const Gpu gpu;
  if (!HasFp8(gpu)) return;
  std::vector<float> x = RandomFloats(3 * 70, 1, 1.0f);
  x[70 + 69] = INFINITY;

  const std::vector<float> y = Packed(gpu, Fp8Numbers({kFp8, 21, 70}), std::vector<float>(21, 0.5f))
                                   .Multiply(x, 3, Dtype::kBfloat16);

  for (size_t i = 0; i < y.size(); ++i) CHECK_EQ(std::isfinite(y[i]), i / 21 != 1);
}

// Replaces every text in another.
std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Writes a checkpoint whose int8 have become the nearest fp8, with the same scales.
void WriteFp8Checkpoint(const std::string& fixture, const TemporaryDirectory& directory) {
  const Result<SafetensorsFile> file =
      SafetensorsFile::Open(FixturePath(fixture) + "/model.safetensors");
  REQUIRE(file.ok());
  Json header;
  std::string data;
  for (const StoredTensor& tensor : file.value().tensors()) {
    const bool is_int8 = tensor.dtype == "I8";
    header[tensor.name] = {{"dtype", is_int8 ? "F8_E4M3" : tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + tensor.bytes}}};
    const size_t begin = data.size();
    data.append(static_cast<const char*>(tensor.data), tensor.bytes);
    for (size_t i = begin; is_int8 && i < data.size(); ++i) {
      data[i] = static_cast<char>(NearestFp8(static_cast<int8_t>(data[i])));
    }
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
  directory.Write("model.safetensors", bytes + text + data);
  const Result<Json> config = ReadJsonFile(FixturePath(fixture) + "/config.json");
  REQUIRE(config.ok());
  const std::string floats = Replaced(config.value().dump(), R"("type":"int")", R"("type":"float")");
  directory.Write("config.json", Replaced(floats, "int-quantized", "float-quantized"));
}

std::vector<float> LogitsOn(DeviceOpener open_device, const std::string& directory,
                            std::string& format) {
  DecoderOptions options = GpuDecoderOptions("glm4-tiny-w8a8", Dtype::kBfloat16, 1);
  options.directory = directory;
  if (open_device == OpenDevice) options.devices = {DeviceId()};
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, open_device);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  format = WeightFormatName(decoder.value()->description().linear_format);
  return PromptLogits(*decoder.value(), Golden("glm4-tiny-w8a8"));
}

TEST_CASE("A checkpoint of fp8 stays fp8 on a GPU that multiplies it, and agrees with widened weights") {
  if (!HasFp8(Gpu())) return;
  const TemporaryDirectory directory;
  WriteFp8Checkpoint("glm4-tiny-w8a8", directory);
  std::string on_gpu;
  std::string on_cpu;

  const std::vector<float> logits = LogitsOn(OpenCuda, directory.path(), on_gpu);
  const std::vector<float> expected = LogitsOn(OpenDevice, directory.path(), on_cpu);

  CHECK_EQ(on_gpu, "fp8");
  CHECK_EQ(on_cpu, "bfloat16");
  CHECK_LT(RelativeError(logits, expected), 0.1);
}

#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("A GPU below 8.9 widens fp8, and refuses a weight that is packed as such") {
  int& capability = simt::Machine().properties.capability;
  const int usual = std::exchange(capability, 86);
  const TemporaryDirectory directory;
  WriteFp8Checkpoint("glm4-tiny-w8a8", directory);
  std::string format;

  const std::vector<float> logits = LogitsOn(OpenCuda, directory.path(), format);
  const Gpu gpu;
  const Status refused = gpu.ops().prepare_gemm(gpu.context(), {kFp8, 16, 64});
  capability = usual;

  CHECK_EQ(format, "bfloat16");
  CHECK_LT(RelativeError(logits, LogitsOn(OpenDevice, directory.path(), format)), 2e-2);
  CHECK_EQ(refused.reason(), Reason::kUnsupported);
  CHECK_NE(refused.message().find("capability 8.9"), std::string::npos);
}
#endif

}  // namespace
}  // namespace autoglm::cuda
