#include "model/checkpoint/quantize_options.h"

namespace autoglm {
namespace {

// One scale of 16 bits for 128 numbers adds 3 % to the bytes that are read.
constexpr int64_t kInt4Group = 128;

}  // namespace

WeightFormat LinearFormat(const WeightFormat& plain, const QuantizeOptions& options,
                          Dtype activation_dtype) {
  if (!options.type.has_value()) return plain;
  if (*options.type == WeightType::kInt4) {
    return {.type = WeightType::kInt4, .group_size = kInt4Group, .scale_dtype = Dtype::kBfloat16};
  }
  return {.type = WeightType::kInt8, .quantizes_input = activation_dtype == Dtype::kBfloat16};
}

std::string FormatName(const WeightFormat& format) {
  std::string name = WeightFormatName(format);
  if (format.group_size != 0) name += " in groups of " + std::to_string(format.group_size);
  if (format.has_zero_points) name += " with zero points";
  if (format.quantizes_input) name += std::string(" with inputs of ") + WeightFormatName(format);
  return name;
}

std::string QuantizationName(const WeightFormat& layers, const WeightFormat& head) {
  if (!IsQuantized(layers) && !IsQuantized(head)) return "";
  const std::string name = FormatName(layers);
  const std::string head_name = FormatName(head);
  return name == head_name ? name : name + ", head " + head_name;
}

Result<QuantizationConfig> ReadUsedQuantization(const std::string& directory,
                                                const QuantizeOptions& options,
                                                Dtype activation_dtype) {
  Result<QuantizationConfig> config = ReadQuantizationConfig(directory);
  if (!config.ok()) return config;
  if (options.type.has_value() && config.value().method != QuantizationConfig::Method::kNone) {
    return InvalidRequest(directory + "/config.json: has a quantization_config: the checkpoint " +
                          "is quantized already; load it without quantize");
  }
  if (activation_dtype == Dtype::kFloat32) {
    config.value().quantizes_input = false;
    config.value().rounds_input_to_fp8 = false;
  }
  return config;
}

}  // namespace autoglm
