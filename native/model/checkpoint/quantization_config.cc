#include "model/checkpoint/quantization_config.h"

#include <vector>

#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

using Method = QuantizationConfig::Method;

Status Refuse(const JsonObject& object, const std::string& what, const std::string& supported) {
  return Unsupported(object.where() + ": " + what + " is not supported; supported: " + supported);
}

// Returns true if inputs are numbers of eight bits with one scale a row, found in each product.
bool IsDynamicByte(const JsonObject& input, const char* type) {
  return input.Has("num_bits") && input.PositiveInteger("num_bits") == 8 &&
         input.String("type", "int") == type && input.Boolean("symmetric", true) &&
         input.Boolean("dynamic", false) && input.String("strategy", "token") == "token";
}

// Reads the arithmetic of a group's inputs. Widened floats (FP8) take any input as it is.
Status ReadInput(const JsonObject& group, const JsonObject& weights, QuantizationConfig& config,
                 Status& status) {
  if (!group.Has("input_activations")) return status;
  const JsonObject input = group.Object("input_activations");
  if (weights.String("type", "int") == "float") {
    config.rounds_input_to_fp8 = IsDynamicByte(input, "float");
    return status;
  }
  const bool is_dynamic_int8 = IsDynamicByte(input, "int");
  if (!status.ok()) return status;
  if (!is_dynamic_int8 || weights.PositiveInteger("num_bits") != 8) {
    return Refuse(input, "this arithmetic of inputs",
                  "none, or int8, symmetric and dynamic per token, with weights of 8 bits");
  }
  config.quantizes_input = true;
  return status;
}

Status ReadGroup(const JsonObject& group, QuantizationConfig& config, Status& status) {
  if (group.Has("output_activations")) {
    return Refuse(group, "output_activations", "weights, and inputs of products");
  }
  const JsonObject weights = group.Object("weights");
  const std::string type = weights.String("type", "int");
  const int64_t num_bits = weights.PositiveInteger("num_bits");
  if (!status.ok()) return status;
  const bool is_known = (type == "int" && (num_bits == 4 || num_bits == 8)) ||
                        (type == "float" && num_bits == 8);
  if (!is_known) {
    return Refuse(weights, std::to_string(num_bits) + " bits of type \"" + type + "\"",
                  "int of 4 or 8 bits, float of 8 bits");
  }
  return ReadInput(group, weights, config, status);
}

Status ReadCompressedTensors(const JsonObject& object, QuantizationConfig& config,
                             Status& status) {
  config.method = Method::kCompressedTensors;
  const std::string format = object.String("format", "");
  if (!status.ok()) return status;
  if (format != "int-quantized" && format != "pack-quantized" && format != "float-quantized" &&
      format != "naive-quantized") {
    return Refuse(object, "format \"" + format + "\"",
                  "int-quantized, pack-quantized, float-quantized");
  }
  for (const char* name : {"kv_cache_scheme", "transform_config"}) {
    if (object.Has(name) && !object.Object(name).Names().empty()) {
      return Refuse(object, name, "checkpoints without it");
    }
  }
  if (object.Has("sparsity_config") && object.Object("sparsity_config").Has("format") &&
      object.Object("sparsity_config").String("format", "") != "dense") {
    return Refuse(object, "sparsity_config", "dense weights");
  }
  const JsonObject groups = object.Object("config_groups");
  const std::vector<std::string> names = groups.Names();
  size_t num_with_input = 0;
  size_t num_with_fp8 = 0;
  for (const std::string& name : names) {
    QuantizationConfig of_group;
    const Status read = ReadGroup(groups.Object(name.c_str()), of_group, status);
    if (!read.ok()) return read;
    config.quantizes_input = config.quantizes_input || of_group.quantizes_input;
    num_with_input += of_group.quantizes_input ? 1 : 0;
    num_with_fp8 += of_group.rounds_input_to_fp8 ? 1 : 0;
  }
  config.rounds_input_to_fp8 = num_with_fp8 != 0 && num_with_fp8 == names.size();
  if (num_with_input != 0 && num_with_input != names.size()) {
    return Refuse(groups, "input_activations of some groups and not of others",
                  "the same inputs in all groups");
  }
  return status;
}

// Refuses a number of bits other than 4, under either of its names.
Status CheckFourBits(const JsonObject& object, const char* name, Status& status) {
  if (!object.Has(name)) return status;
  const int64_t bits = object.PositiveInteger(name);
  if (!status.ok() || bits == 4) return status;
  return Refuse(object, std::to_string(bits) + " bits", "4 bits");
}

Status ReadGptq(const JsonObject& object, QuantizationConfig& config, Status& status) {
  config.method = Method::kGptq;
  const std::string format = object.String("checkpoint_format", "gptq");
  config.zero_points_less_one = format == "gptq";
  if (status.ok() && format != "gptq" && format != "gptq_v2") {
    return Refuse(object, "checkpoint_format \"" + format + "\"", "gptq, gptq_v2");
  }
  return CheckFourBits(object, "bits", status);
}

Status ReadAwq(const JsonObject& object, QuantizationConfig& config, Status& status) {
  config.method = Method::kAwq;
  const std::string version = object.String("version", "gemm");
  if (status.ok() && version != "gemm" && version != "GEMM") {
    return Refuse(object, "version \"" + version + "\"", "gemm");
  }
  const Status bits = CheckFourBits(object, "bits", status);
  return bits.ok() ? CheckFourBits(object, "w_bit", status) : bits;
}

Status ReadMethod(const JsonObject& object, QuantizationConfig& config, Status& status) {
  const std::string method = object.String("quant_method", "");
  if (!status.ok()) return status;
  if (method == "compressed-tensors") return ReadCompressedTensors(object, config, status);
  if (method == "gptq") return ReadGptq(object, config, status);
  if (method == "awq") return ReadAwq(object, config, status);
  if (method == "fp8") {
    config.method = Method::kFp8;
    return status;
  }
  return Refuse(object, "quant_method \"" + method + "\"", "compressed-tensors, fp8, gptq, awq");
}

}  // namespace

Result<QuantizationConfig> ReadQuantizationConfig(const std::string& directory) {
  const std::string path = directory + "/config.json";
  const Result<Json> json = ReadJsonFile(path);
  if (!json.ok()) return json.status();
  Status status;
  QuantizationConfig config;
  const JsonObject root(json.value(), path, status);
  const bool is_in_text = !root.Has("quantization_config") && root.Has("text_config") &&
                          root.Object("text_config").Has("quantization_config");
  if (!is_in_text && !root.Has("quantization_config")) {
    if (!status.ok()) return status;
    return config;
  }
  const JsonObject object = is_in_text
                                ? root.Object("text_config").Object("quantization_config")
                                : root.Object("quantization_config");
  const Status read = ReadMethod(object, config, status);
  if (!read.ok()) return read;
  if (!status.ok()) return status;
  return config;
}

}  // namespace autoglm
