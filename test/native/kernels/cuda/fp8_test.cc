// Weights and inputs of fp8 on a GPU. What a number is rounded to is looked up here among all numbers of
// e4m3, so that nothing of the kernels is used to judge them.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/float_bits.h"
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

constexpr WeightFormat kFp8ByFp8 = {.type = WeightType::kFp8, .quantizes_input = true};

// Weights of fp8 whose inputs are rounded to bfloat16, or are not.
constexpr WeightFormat Fp8Weights(int64_t group_size, Dtype scale_dtype) {
  return {.type = WeightType::kFp8, .group_size = group_size, .scale_dtype = scale_dtype};
}
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

// A weight of fp8 with scales that every type of them holds.
struct Fp8Numbers {
  explicit Fp8Numbers(const WeightShape& shape)
      : shape(shape), num_groups(NumGroups(shape.format, shape.depth)) {
    for (const float value : RandomFloats(shape.columns * num_groups, 3, 0.01f)) {
      scales.push_back(Float16ToFloat(FloatToFloat16(BFloat16ToFloat(FloatToBFloat16(value)))));
    }
    for (const float value : RandomFloats(shape.columns * shape.depth, 2, 200.0f)) {
      bits.push_back(static_cast<int8_t>(NearestFp8(value)));
    }
  }
  WeightRows Rows(int64_t begin, int64_t count) const {
    return {nullptr, Dtype::kFloat32, count,
            {bits.data() + begin * shape.depth, scales.data() + begin * num_groups, nullptr}};
  }
  float At(int64_t column, int64_t depth) const {
    return Fp8Floats()[static_cast<uint8_t>(bits[static_cast<size_t>(column * shape.depth + depth)])];
  }
  float ScaleAt(int64_t column, int64_t depth) const {
    const int64_t group_size = shape.format.group_size;
    const int64_t group = group_size == 0 ? 0 : depth / group_size;
    return scales[static_cast<size_t>(column * num_groups + group)];
  }

  WeightShape shape;
  int64_t num_groups;
  std::vector<int8_t> bits;
  std::vector<float> scales;
};

// How a row is rounded before it is multiplied.
enum class Rounding { kNone, kBfloat16, kFp8 };

struct Expected {
  double sum;
  double magnitudes;  // sum of the magnitudes of what is added
};

// Multiplies a row, to fp8 rounded by its largest magnitude, with a column.
Expected ProductOf(const Fp8Numbers& numbers, const float* row, int64_t column,
                   Rounding rounding) {
  const int64_t depth = numbers.shape.depth;
  float max = 0.0f;
  for (int64_t d = 0; d < depth; ++d) max = std::max(max, std::abs(row[d]));
  const float inverse = max > 0.0f ? kLargestFp8 / max : 0.0f;
  const double row_scale = max / kLargestFp8;
  Expected expected = {};
  for (int64_t d = 0; d < depth; ++d) {
    double x = row[d];
    if (rounding == Rounding::kBfloat16) x = BFloat16ToFloat(FloatToBFloat16(row[d]));
    if (rounding == Rounding::kFp8) x = RoundToFp8(row[d] * inverse) * row_scale;
    const double product = x * numbers.At(column, d) * numbers.ScaleAt(column, d);
    expected.sum += product;
    expected.magnitudes += std::abs(product);
  }
  return expected;
}

// Returns true where the GPU multiplies fp8 by fp8; says so where it does not.
bool HasFp8(const Gpu& gpu) {
  const bool has_fp8 = gpu.ops().fp8_products(gpu.context()) == Fp8Products::kFloatsAndFp8;
  if (!has_fp8) MESSAGE("skipped: this GPU does not multiply fp8 by fp8");
  return has_fp8;
}

std::vector<float> Row(const std::vector<float>& x, int64_t row, int64_t columns) {
  return std::vector<float>(x.begin() + row * columns, x.begin() + (row + 1) * columns);
}

struct Sizes {
  int64_t columns;
  int64_t depth;
  int64_t num_rows;
};

// Multiplies a weight by some rows, and each of several alone.
void CheckProducts(const Gpu& gpu, const WeightFormat& format, const Sizes& sizes, Dtype activation,
                   Rounding rounding) {
  CAPTURE(sizes.depth);
  const auto [columns, depth, num_rows] = sizes;
  const Fp8Numbers numbers({format, columns, depth});
  const std::vector<float> x = RandomFloats(num_rows * depth, 1, 1.0f);
  const std::vector<float> bias = RandomFloats(columns, 5, 1.0f);
  Packed packed(gpu, numbers, bias);
  packed.x_gap = depth % 4 == 0 ? 4 : 1;  // loads of 16 bytes where they are possible

  const std::vector<float> y = packed.Multiply(x, num_rows, activation);

  for (int64_t row = 0; row < num_rows; row += 1 + row / 2) {
    CAPTURE(row);
    const std::vector<float> alone = packed.Multiply(Row(x, row, depth), 1, activation);
    CHECK_EQ(std::memcmp(alone.data(), y.data() + row * columns, alone.size() * 4), 0);
    for (int64_t column = 0; column < columns; ++column) {
      const Expected expected = ProductOf(numbers, x.data() + row * depth, column, rounding);
      const double biased = expected.sum + bias[static_cast<size_t>(column)];
      const double bound = 1e-5 * (expected.magnitudes + 1.0);
      CHECK_LE(std::abs(y[static_cast<size_t>(row * columns + column)] - biased), bound);
    }
  }
}

TEST_CASE("A GPU multiplies fp8 by rows that it rounds to fp8, a row alone as among others") {
  const Gpu gpu;
  if (!HasFp8(gpu)) return;
  for (const Sizes& sizes : {Sizes{75, 332, 100}, Sizes{17, kChunkDepth + 68, 9}, Sizes{5, 3, 2}}) {
    CheckProducts(gpu, kFp8ByFp8, sizes, Dtype::kBfloat16, Rounding::kFp8);
  }
}

TEST_CASE("A GPU multiplies fp8 by rows of bfloat16 and of float32, whatever shares a scale") {
  const Gpu gpu;
  for (const WeightFormat& format :
       {Fp8Weights(0, Dtype::kFloat32), Fp8Weights(128, Dtype::kFloat32),
        Fp8Weights(128, Dtype::kBfloat16), Fp8Weights(32, Dtype::kFloat16)}) {
    CAPTURE(format.group_size);
    CheckProducts(gpu, format, {75, 332, 100}, Dtype::kBfloat16, Rounding::kBfloat16);
    CheckProducts(gpu, format, {75, 332, 9}, Dtype::kFloat32, Rounding::kNone);
  }
  CheckProducts(gpu, Fp8Weights(128, Dtype::kFloat32), {17, kChunkDepth + 68, 9}, Dtype::kBfloat16,
                Rounding::kBfloat16);
  CheckProducts(gpu, Fp8Weights(128, Dtype::kFloat32), {5, 3, 2}, Dtype::kBfloat16,
                Rounding::kBfloat16);
}

TEST_CASE("Every number of fp8 is multiplied as it is, the smallest and both zeros among them") {
  const Gpu gpu;
  constexpr int64_t kNumbers = 254;  // without both NaN
  Fp8Numbers numbers({Fp8Weights(0, Dtype::kFloat32), kNumbers, 1});
  for (size_t i = 0; i < numbers.bits.size(); ++i) {
    numbers.bits[i] = static_cast<int8_t>(i < 127 ? i : i + 1);
    numbers.scales[i] = 1.0f;
  }

  const std::vector<float> y =
      Packed(gpu, numbers, std::vector<float>(kNumbers, 0.0f)).Multiply({1.0f}, 1, Dtype::kBfloat16);

  for (int64_t column = 0; column < kNumbers; ++column) {
    CHECK_EQ(y[static_cast<size_t>(column)], numbers.At(column, 0));
  }
}

TEST_CASE("A weight of fp8 that would be widened is refused if it holds NaN") {
  const Gpu gpu;
  for (const uint8_t nan : {0x7f, 0xff}) {
    Fp8Numbers numbers({Fp8Weights(128, Dtype::kFloat32), 20, 140});
    numbers.bits[19 * 140 + 133] = static_cast<int8_t>(nan);
    const DeviceBuffer memory =
        gpu.Allocate(gpu.ops().packed_bytes(gpu.context(), numbers.shape));
    const WeightRows sources[] = {numbers.Rows(0, 20)};

    const Status refused =
        gpu.ops().pack(gpu.context(), {sources, numbers.shape, memory.data()});

    CHECK_EQ(refused.reason(), Reason::kInvalidCheckpoint);
    CHECK_NE(refused.message().find("fp8 holds NaN"), std::string::npos);
  }
}

TEST_CASE("A product of fp8 is that of the rows as they are, as far as three bits of mantissa go") {
  const Gpu gpu;
  if (!HasFp8(gpu)) return;
  constexpr int64_t kColumns = 40;
  constexpr int64_t kDepth = 256;
  const Fp8Numbers numbers({kFp8ByFp8, kColumns, kDepth});
  const std::vector<float> x = RandomFloats(kDepth, 1, 1.0f);
  std::vector<float> expected;
  for (int64_t column = 0; column < kColumns; ++column) {
    expected.push_back(
        static_cast<float>(ProductOf(numbers, x.data(), column, Rounding::kNone).sum));
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

  const std::vector<float> y =
      Packed(gpu, Fp8Numbers({kFp8ByFp8, 21, 70}), std::vector<float>(21, 0.5f))
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

// What shares a scale in a checkpoint of fp8.
enum class Fp8Scales { kRow, kBlock };

// Writes a checkpoint whose int8 have become the nearest fp8, with the same scales; of a block of 128 by
// 128 with the scale of its first row.
void WriteFp8Checkpoint(const std::string& fixture, Fp8Scales scales,
                        const TemporaryDirectory& directory) {
  const Result<SafetensorsFile> file =
      SafetensorsFile::Open(FixturePath(fixture) + "/model.safetensors");
  REQUIRE(file.ok());
  Json header;
  std::string data;
  const std::vector<StoredTensor>& tensors = file.value().tensors();
  for (const StoredTensor& tensor : tensors) {
    const bool is_int8 = tensor.dtype == "I8";
    const size_t begin = data.size();
    if (scales == Fp8Scales::kBlock && tensor.name.ends_with("_scale")) {
      const auto matrix = std::find_if(tensors.begin(), tensors.end(), [&](const auto& one) {
        return one.name + "_scale" == tensor.name;
      });
      REQUIRE(matrix != tensors.end());
      const size_t bytes = tensor.bytes / static_cast<size_t>(tensor.shape[0]);
      const int64_t num_groups = DivideUp(matrix->shape[1], 128);
      const int64_t num_rows = DivideUp(tensor.shape[0], 128);
      for (int64_t i = 0; i < num_rows * num_groups; ++i) {
        const size_t row = static_cast<size_t>(i / num_groups * 128);
        data.append(static_cast<const char*>(tensor.data) + row * bytes, bytes);
      }
      header[tensor.name + "_inv"] = {{"dtype", tensor.dtype},
                                      {"shape", {num_rows, num_groups}},
                                      {"data_offsets", {begin, data.size()}}};
      continue;
    }
    header[tensor.name] = {{"dtype", is_int8 ? "F8_E4M3" : tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, begin + tensor.bytes}}};
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
  if (scales == Fp8Scales::kBlock) {
    Json of_blocks = config.value();
    of_blocks["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
    directory.Write("config.json", of_blocks.dump());
    return;
  }
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
  WriteFp8Checkpoint("glm4-tiny-w8a8", Fp8Scales::kRow, directory);
  std::string on_gpu;
  std::string on_cpu;

  const std::vector<float> logits = LogitsOn(OpenCuda, directory.path(), on_gpu);
  const std::vector<float> expected = LogitsOn(OpenDevice, directory.path(), on_cpu);

  CHECK_EQ(on_gpu, "fp8");
  CHECK_EQ(on_cpu, "bfloat16");
  CHECK_LT(RelativeError(logits, expected), 0.1);
}

TEST_CASE("A checkpoint of fp8 in blocks stays fp8 on a GPU, and agrees with widened weights") {
  const TemporaryDirectory directory;
  WriteFp8Checkpoint("glm4-tiny-w8a8", Fp8Scales::kBlock, directory);
  std::string on_gpu;
  std::string on_cpu;

  const std::vector<float> logits = LogitsOn(OpenCuda, directory.path(), on_gpu);
  const std::vector<float> expected = LogitsOn(OpenDevice, directory.path(), on_cpu);

  CHECK_EQ(on_gpu, "fp8");
  CHECK_EQ(on_cpu, "bfloat16");
  CHECK_LT(RelativeError(logits, expected), 2e-2);
}

#if defined(AUTOGLM_SIMT_EMULATOR)
TEST_CASE("A GPU below 8.9 keeps weights of fp8, rounds inputs to bfloat16, and refuses those of fp8") {
  simt::EmulatedMachine older = simt::Machine();
  older.properties.capability = 86;
  const simt::MachineSettings machine(older);
  const TemporaryDirectory directory;
  WriteFp8Checkpoint("glm4-tiny-w8a8", Fp8Scales::kRow, directory);
  std::string on_gpu;
  std::string on_cpu;

  const std::vector<float> logits = LogitsOn(OpenCuda, directory.path(), on_gpu);
  const Gpu gpu;
  const Status refused = gpu.ops().prepare_gemm(gpu.context(), {kFp8ByFp8, 16, 64});

  CHECK_EQ(on_gpu, "fp8");
  CHECK_LT(RelativeError(logits, LogitsOn(OpenDevice, directory.path(), on_cpu)), 2e-2);
  CHECK_EQ(refused.reason(), Reason::kUnsupported);
  CHECK_NE(refused.message().find("capability 8.9"), std::string::npos);
}
#endif

}  // namespace
}  // namespace autoglm::cuda
