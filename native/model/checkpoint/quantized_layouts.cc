#include "model/checkpoint/quantized_layouts.h"

#include <algorithm>
#include <utility>

#include "model/checkpoint/quantized_words.h"

namespace autoglm {
namespace {

Dtype FloatDtype(const StoredTensor& tensor) {
  if (tensor.dtype == "F32") return Dtype::kFloat32;
  return tensor.dtype == "BF16" ? Dtype::kBfloat16 : Dtype::kFloat16;
}

// Returns the signed number that `bits` bits at place i of a word stand for, of which half the
// range was added.
int8_t SignedBits(uint32_t word, int64_t i, int64_t bits) {
  const uint32_t value = word >> (i * bits) & ((1u << bits) - 1u);
  return static_cast<int8_t>(static_cast<int32_t>(value) - (1 << (bits - 1)));
}

// Calls add(row, group) with the stored numbers of each row and quantization group of a weight.
template <typename Add>
void ForEachGroup(const HostWeight& weight, const Add& add) {
  const int64_t group_size = weight.format.group_size;
  const int64_t first_group = group_size == 0 ? 0 : weight.place.first_input / group_size;
  const int64_t num_groups = NumGroups(weight.format, weight.depth);
  for (int64_t row = weight.place.first_row; row < weight.place.first_row + weight.rows; ++row) {
    for (int64_t i = 0; i < num_groups; ++i) add(row, first_group + i);
  }
}

// In GPTQ's words the column 8c + j lies at nibble j.
constexpr int64_t kGptqNibbles[kNibblesPerWord] = {0, 1, 2, 3, 4, 5, 6, 7};

}  // namespace

QuantizedTensors::QuantizedTensors(const TensorSource& source, ModelPart part, std::string name)
    : source_(source), part_(part), name_(std::move(name)) {}

const StoredTensor* QuantizedTensors::Find(const char* suffix) const {
  return source_.FindStored(part_, name_ + suffix);
}

bool QuantizedTensors::IsQuantized() const {
  if (Find(".weight_packed") != nullptr || Find(".qweight") != nullptr) return true;
  const StoredTensor* weight = Find(".weight");
  if (weight == nullptr) return false;
  return weight->dtype == "I8" || weight->dtype == "F8_E4M3" || Find(".weight_scale") != nullptr ||
         Find(".weight_scale_inv") != nullptr;
}

std::string QuantizedTensors::WhereOf(const char* suffix) const {
  return source_.WhereStored(part_, name_ + suffix);
}

std::string QuantizedTensors::where() const {
  for (const char* suffix : {".weight_packed", ".qweight"}) {
    if (Find(suffix) != nullptr) return WhereOf(suffix);
  }
  return WhereOf(".weight");
}

Result<const StoredTensor*> QuantizedTensors::Require(const char* suffix,
                                                      const std::vector<std::string>& dtypes,
                                                      const std::vector<int64_t>& shape) const {
  const StoredTensor* tensor = Find(suffix);
  if (tensor == nullptr) {
    return InvalidCheckpoint(where() + ": has no \"" + name_ + suffix + "\" beside it");
  }
  std::string expected;
  for (const std::string& dtype : dtypes) expected += (expected.empty() ? "" : " or ") + dtype;
  const bool has_dtype = std::find(dtypes.begin(), dtypes.end(), tensor->dtype) != dtypes.end();
  if (has_dtype && tensor->shape == shape) return tensor;
  return InvalidCheckpoint(WhereOf(suffix) + ": expected " + expected + " " + ShapeText(shape) +
                           ", found " + tensor->dtype + " " + ShapeText(tensor->shape));
}

Status QuantizedTensors::Describe(const QuantizationConfig& config, HostWeight& weight) const {
  using Method = QuantizationConfig::Method;
  if (config.method == Method::kNone) {
    return InvalidCheckpoint(where() + ": is quantized, but config.json has no " +
                             "quantization_config");
  }
  weight.is_scaled = true;
  if (Find(".qweight") != nullptr) {
    if (config.method == Method::kGptq) return DescribeGptq(config, weight);
    if (config.method == Method::kAwq) return DescribeAwq(weight);
    return InvalidCheckpoint(where() + ": is a tensor of GPTQ or AWQ, which quant_method of " +
                             "config.json does not name");
  }
  if (Find(".weight_packed") != nullptr) return DescribePacked(config, weight);
  const std::string& dtype = Find(".weight")->dtype;
  if (dtype == "I8") return DescribeInt8(config, weight);
  weight.is_scaled = false;
  if (dtype == "F8_E4M3") return DescribeFp8(config, weight);
  return Unsupported(where() + ": " + dtype + " with a scale beside it is not supported; " +
                     "supported: I8, F8_E4M3 and packed I32, that is checkpoints saved compressed");
}

std::vector<const StoredTensor*> QuantizedTensors::All() const {
  std::vector<const StoredTensor*> tensors;
  for (const char* suffix : {".weight", ".weight_packed", ".qweight"}) {
    if (const StoredTensor* tensor = Find(suffix); tensor != nullptr) tensors.push_back(tensor);
  }
  return tensors;
}

Result<int64_t> QuantizedTensors::GroupSize(const HostWeight& weight, int64_t num_groups) const {
  if (num_groups == 1) return 0;
  const int64_t depth = weight.place.depth;
  const int64_t size = num_groups > 0 ? depth / num_groups : 0;
  const bool is_even = size * num_groups == depth;
  if (is_even && (size == 32 || size == 64 || size == 128)) return size;
  return Unsupported(where() + ": " + std::to_string(num_groups) + " groups of " +
                     std::to_string(depth) +
                     " inputs are not supported; supported: groups of 32, 64 or 128, and one " +
                     "scale a row");
}

Status QuantizedTensors::ReadScales(const char* suffix, HostWeight& weight) const {
  const StoredTensor* stored = Find(suffix);
  const bool is_matrix = stored != nullptr && stored->shape.size() == 2;
  const int64_t num_groups = is_matrix ? stored->shape[1] : 1;
  const Result<const StoredTensor*> scales =
      Require(suffix, {"BF16", "F16", "F32"}, {weight.place.rows, num_groups});
  if (!scales.ok()) return scales.status();
  const Result<int64_t> group_size = GroupSize(weight, num_groups);
  if (!group_size.ok()) return group_size.status();
  weight.format.group_size = group_size.value();
  weight.format.scale_dtype = FloatDtype(*scales.value());
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    weight.scales.push_back(ReadFloat(*scales.value(), row * num_groups + group));
  });
  return Status();
}

Status QuantizedTensors::DescribeInt8(const QuantizationConfig& config, HostWeight& weight) const {
  const Result<const StoredTensor*> values =
      Require(".weight", {"I8"}, {weight.place.rows, weight.place.depth});
  if (!values.ok()) return values.status();
  weight.format.type = WeightType::kInt8;
  weight.format.quantizes_input = config.quantizes_input;
  weight.values = static_cast<const int8_t*>(values.value()->data) +
                  weight.place.first_row * weight.place.depth + weight.place.first_input;
  const Status scales = ReadScales(".weight_scale", weight);
  if (!scales.ok() || Find(".weight_zero_point") == nullptr) return scales;
  const int64_t num_groups = NumGroups(weight.format, weight.place.depth);
  const Result<const StoredTensor*> zeros =
      Require(".weight_zero_point", {"I8"}, {weight.place.rows, num_groups});
  if (!zeros.ok()) return zeros.status();
  const int8_t* const stored = static_cast<const int8_t*>(zeros.value()->data);
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    weight.zero_points.push_back(stored[row * num_groups + group]);
  });
  weight.format.has_zero_points = true;
  return Status();
}

Status QuantizedTensors::DescribePacked(const QuantizationConfig& config,
                                        HostWeight& weight) const {
  const StoredTensor& stored = *Find(".weight_packed");
  const bool is_int8 =
      stored.shape == std::vector<int64_t>{weight.place.rows, DivideUp(weight.place.depth, 4)};
  const int64_t num_words = DivideUp(weight.place.depth, is_int8 ? 4 : kNibblesPerWord);
  const Result<const StoredTensor*> words =
      Require(".weight_packed", {"I32"}, {weight.place.rows, num_words});
  if (!words.ok()) return words.status();
  if (Find(".weight_g_idx") != nullptr) {
    return Unsupported(WhereOf(".weight_g_idx") + ": groups in the order of activations are not " +
                       "supported; supported: groups of consecutive inputs");
  }
  weight.format.type = is_int8 ? WeightType::kInt8 : WeightType::kInt4;
  weight.format.quantizes_input = config.quantizes_input;
  const Status scales = ReadScales(".weight_scale", weight);
  if (!scales.ok() || Find(".weight_zero_point") == nullptr) return scales;
  return ReadPackedZeroPoints(weight);
}

// X.weight_zero_point [ceil(rows / 8), groups] has the numbers of a column in words.
Status QuantizedTensors::ReadPackedZeroPoints(HostWeight& weight) const {
  const int64_t num_groups = NumGroups(weight.format, weight.place.depth);
  const int64_t bits = weight.format.type == WeightType::kInt8 ? 8 : 4;
  const int64_t per_word = 32 / bits;
  const Result<const StoredTensor*> words =
      Require(".weight_zero_point", {"I32"}, {DivideUp(weight.place.rows, per_word), num_groups});
  if (!words.ok()) return words.status();
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    const uint32_t word = Word(*words.value(), row / per_word * num_groups + group);
    weight.zero_points.push_back(SignedBits(word, row % per_word, bits));
  });
  weight.format.has_zero_points = true;
  return Status();
}

const char* QuantizedTensors::Fp8ScaleSuffix() const {
  return Find(".weight_scale") != nullptr ? ".weight_scale" : ".weight_scale_inv";
}

// One scale for all, one a row, or one a block of 128 by 128.
std::vector<int64_t> QuantizedTensors::Fp8ScaleShape(const HostWeight& weight) const {
  const StoredTensor* scale = Find(Fp8ScaleSuffix());
  const std::vector<int64_t> one = {1};
  if (scale == nullptr) return one;
  const bool is_channel = scale->shape == std::vector<int64_t>{weight.place.rows, 1};
  if (scale->shape.empty() || scale->shape == one || is_channel) return scale->shape;
  return {DivideUp(weight.place.rows, kFp8Block), DivideUp(weight.place.depth, kFp8Block)};
}

Status QuantizedTensors::DescribeFp8(const QuantizationConfig& config, HostWeight& weight) const {
  const StoredPlace& place = weight.place;
  const Result<const StoredTensor*> values =
      Require(".weight", {"F8_E4M3"}, {place.rows, place.depth});
  if (!values.ok()) return values.status();
  const std::vector<int64_t> shape = Fp8ScaleShape(weight);
  const Result<const StoredTensor*> scales =
      Require(Fp8ScaleSuffix(), {"BF16", "F16", "F32"}, shape);
  if (!scales.ok()) return scales.status();
  if (!config.keeps_fp8) return Status();
  const bool is_channel = shape == std::vector<int64_t>{place.rows, 1};
  const bool is_block = shape.size() == 2 && !is_channel;
  weight.is_scaled = true;
  weight.format.type = WeightType::kFp8;
  weight.format.quantizes_input = config.rounds_input_to_fp8 && !is_block;
  if (is_block) weight.format.group_size = kFp8Block;
  if (!weight.format.quantizes_input) weight.format.scale_dtype = FloatDtype(*scales.value());
  weight.values = static_cast<const int8_t*>(values.value()->data) + place.first_row * place.depth +
                  place.first_input;
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    const int64_t block = row / kFp8Block * shape.back() + group;
    weight.scales.push_back(ReadFloat(*scales.value(), is_block ? block : is_channel ? row : 0));
  });
  return Status();
}

Status QuantizedTensors::ReadTransposedScales(HostWeight& weight) const {
  const StoredTensor* stored = Find(".scales");
  const bool is_matrix = stored != nullptr && stored->shape.size() == 2;
  const int64_t num_groups = is_matrix ? stored->shape[0] : 1;
  const Result<const StoredTensor*> scales =
      Require(".scales", {"F16", "BF16", "F32"}, {num_groups, weight.place.rows});
  if (!scales.ok()) return scales.status();
  const Result<int64_t> group_size = GroupSize(weight, num_groups);
  if (!group_size.ok()) return group_size.status();
  weight.format.type = WeightType::kInt4;
  weight.format.group_size = group_size.value();
  weight.format.scale_dtype = FloatDtype(*scales.value());
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    weight.scales.push_back(ReadFloat(*scales.value(), group * weight.place.rows + row));
  });
  return Status();
}

// Refuses groups that are not made of consecutive inputs.
Status QuantizedTensors::CheckOrder(const HostWeight& weight) const {
  if (Find(".g_idx") == nullptr) return Status();
  const Result<const StoredTensor*> order = Require(".g_idx", {"I32"}, {weight.place.depth});
  if (!order.ok()) return order.status();
  const WeightFormat& format = weight.format;
  const int64_t group_size = format.group_size == 0 ? weight.place.depth : format.group_size;
  for (int64_t d = 0; d < weight.place.depth; ++d) {
    if (Word(*order.value(), d) == static_cast<uint32_t>(d / group_size)) continue;
    return Unsupported(WhereOf(".g_idx") + ": groups in the order of activations (desc_act) are " +
                       "not supported; supported: groups of consecutive inputs");
  }
  return Status();
}

Status QuantizedTensors::ReadTransposedZeros(const int64_t nibbles[], int8_t add,
                                             HostWeight& weight) const {
  const int64_t num_groups = NumGroups(weight.format, weight.place.depth);
  const int64_t num_words = DivideUp(weight.place.rows, kNibblesPerWord);
  const Result<const StoredTensor*> zeros = Require(".qzeros", {"I32"}, {num_groups, num_words});
  if (!zeros.ok()) return zeros.status();
  weight.format.has_zero_points = true;
  ForEachGroup(weight, [&](int64_t row, int64_t group) {
    const uint32_t word = Word(*zeros.value(), group * num_words + row / kNibblesPerWord);
    const int8_t value = SignedBits(word, nibbles[row % kNibblesPerWord], 4);
    weight.zero_points.push_back(static_cast<int8_t>(value + add));
  });
  return Status();
}

Status QuantizedTensors::DescribeGptq(const QuantizationConfig& config, HostWeight& weight) const {
  const Result<const StoredTensor*> words =
      Require(".qweight", {"I32"}, {DivideUp(weight.place.depth, kNibblesPerWord), weight.place.rows});
  if (!words.ok()) return words.status();
  const Status scales = ReadTransposedScales(weight);
  if (!scales.ok()) return scales;
  const Status order = CheckOrder(weight);
  if (!order.ok()) return order;
  return ReadTransposedZeros(kGptqNibbles, config.zero_points_less_one ? 1 : 0, weight);
}

Status QuantizedTensors::DescribeAwq(HostWeight& weight) const {
  if (weight.place.first_row % kNibblesPerWord != 0) {
    return Unsupported(where() + ": rows from " + std::to_string(weight.place.first_row) +
                       " on cannot be a device's part, since words hold " +
                       std::to_string(kNibblesPerWord) + " rows; use another " +
                       "tensor-parallel-size");
  }
  const int64_t num_words = DivideUp(weight.place.rows, kNibblesPerWord);
  const Result<const StoredTensor*> words =
      Require(".qweight", {"I32"}, {weight.place.depth, num_words});
  if (!words.ok()) return words.status();
  const Status scales = ReadTransposedScales(weight);
  if (!scales.ok()) return scales;
  return ReadTransposedZeros(kAwqNibbles, 0, weight);
}

}  // namespace autoglm
