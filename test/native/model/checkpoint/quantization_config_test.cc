#include "model/checkpoint/quantization_config.h"

#include <string>

#include "doctest/doctest.h"
#include "model/checkpoint/quantize_options.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

using Method = QuantizationConfig::Method;

Result<QuantizationConfig> Read(const std::string& quantization) {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"quantization_config":)" + quantization + "}");
  return ReadQuantizationConfig(directory.path());
}

// A compressed-tensors configuration of one group, with further members.
std::string Compressed(const std::string& format, const std::string& group,
                       const std::string& members) {
  return R"({"quant_method":"compressed-tensors","format":")" + format +
         R"(","config_groups":{"group_0":)" + group + "}" + members + "}";
}

constexpr const char* kWeightsOnly = R"({"weights":{"num_bits":4,"type":"int"}})";
constexpr const char* kDynamicInput =
    R"({"weights":{"num_bits":8},"input_activations":{"num_bits":8,"dynamic":true}})";

void CheckRefusal(const std::string& quantization, const std::string& part) {
  const Result<QuantizationConfig> config = Read(quantization);
  REQUIRE_FALSE(config.ok());
  CHECK_EQ(config.status().reason(), Reason::kUnsupported);
  CHECK_MESSAGE(config.status().message().find(part) != std::string::npos,
                config.status().message());
}

TEST_CASE("A configuration without quantization says so") {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"quantization_config":null,"text_config":{}})");

  const Result<QuantizationConfig> config = ReadQuantizationConfig(directory.path());

  REQUIRE(config.ok());
  CHECK_EQ(config.value().method, Method::kNone);
}

TEST_CASE("The quantization of a text_config counts") {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"text_config":{"quantization_config":{"quant_method":"awq"}}})");

  const Result<QuantizationConfig> config = ReadQuantizationConfig(directory.path());

  REQUIRE(config.ok());
  CHECK_EQ(config.value().method, Method::kAwq);
}

TEST_CASE("Each supported format is told by its members") {
  const Result<QuantizationConfig> packed = Read(Compressed("pack-quantized", kWeightsOnly, ""));
  REQUIRE(packed.ok());
  CHECK_EQ(packed.value().method, Method::kCompressedTensors);
  CHECK_FALSE(packed.value().quantizes_input);

  const Result<QuantizationConfig> dynamic = Read(
      Compressed("int-quantized", kDynamicInput, R"(,"kv_cache_scheme":null,"ignore":["lm_head"])"));
  REQUIRE(dynamic.ok());
  CHECK(dynamic.value().quantizes_input);

  const Result<QuantizationConfig> first = Read(R"({"quant_method":"gptq","bits":4})");
  REQUIRE(first.ok());
  CHECK(first.value().zero_points_less_one);
  const Result<QuantizationConfig> second =
      Read(R"({"quant_method":"gptq","bits":4,"checkpoint_format":"gptq_v2"})");
  REQUIRE(second.ok());
  CHECK_FALSE(second.value().zero_points_less_one);

  CHECK_EQ(Read(R"({"quant_method":"fp8"})").value().method, Method::kFp8);
}

TEST_CASE("FP8 weights take any inputs, and may stay FP8 where these are rounded row by row") {
  const auto read = [](const std::string& input) {
    return Read(Compressed("float-quantized",
                           R"({"weights":{"num_bits":8,"type":"float"},"input_activations":)" + input +
                               "}",
                           ""));
  };

  const Result<QuantizationConfig> fixed = read(R"({"dynamic":false})");
  const Result<QuantizationConfig> dynamic =
      read(R"({"num_bits":8,"type":"float","dynamic":true,"strategy":"token","symmetric":true})");

  REQUIRE(fixed.ok());
  CHECK_FALSE(fixed.value().quantizes_input);
  CHECK_FALSE(fixed.value().rounds_input_to_fp8);
  REQUIRE(dynamic.ok());
  CHECK_FALSE(dynamic.value().quantizes_input);
  CHECK(dynamic.value().rounds_input_to_fp8);
}

TEST_CASE("What would be computed wrongly is refused by name") {
  CheckRefusal(R"({"quant_method":"bitsandbytes"})", "quant_method \"bitsandbytes\"");
  CheckRefusal(Compressed("marlin-24", kWeightsOnly, ""), "format \"marlin-24\"");
  CheckRefusal(Compressed("pack-quantized", kWeightsOnly, R"(,"kv_cache_scheme":{"num_bits":8})"),
               "kv_cache_scheme");
  CheckRefusal(
      Compressed("pack-quantized", kWeightsOnly, R"(,"transform_config":{"config_groups":{"a":1}})"),
      "transform_config");
  CheckRefusal(
      Compressed("pack-quantized", kWeightsOnly, R"(,"sparsity_config":{"format":"sparse-24"})"),
      "sparsity_config");
  CheckRefusal(Compressed("pack-quantized", R"({"weights":{"num_bits":3}})", ""), "3 bits");
  CheckRefusal(Compressed("int-quantized",
                          R"({"weights":{"num_bits":8},"input_activations":{"num_bits":8}})", ""),
               "input_activations");
  CheckRefusal(
      Compressed("int-quantized",
                 R"({"weights":{"num_bits":4},"input_activations":{"num_bits":8,"dynamic":true}})",
                 ""),
      "input_activations");
  CheckRefusal(Compressed("int-quantized", R"({"weights":{"num_bits":8},"output_activations":{}})",
                          ""),
               "output_activations");
  CheckRefusal(R"({"quant_method":"gptq","bits":3})", "3 bits");
  CheckRefusal(R"({"quant_method":"gptq","checkpoint_format":"marlin"})", "\"marlin\"");
  CheckRefusal(R"({"quant_method":"awq","version":"gemv"})", "version \"gemv\"");
  CheckRefusal(R"({"quant_method":"awq","w_bit":8})", "8 bits");
}

TEST_CASE("Groups that treat inputs differently are refused") {
  CheckRefusal(R"({"quant_method":"compressed-tensors","format":"int-quantized","config_groups":)"
               R"({"a":)" +
                   std::string(kDynamicInput) + R"(,"b":)" + kWeightsOnly + "}}",
               "some groups");
}

TEST_CASE("Quantizing a quantized checkpoint is refused") {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"quantization_config":{"quant_method":"awq"}})");

  const Result<QuantizationConfig> config = ReadUsedQuantization(
      directory.path(), {.type = WeightType::kInt8}, Dtype::kBfloat16);

  REQUIRE_FALSE(config.ok());
  CHECK_EQ(config.status().reason(), Reason::kInvalidRequest);
  CHECK_NE(config.status().message().find("quantized already"), std::string::npos);
}

TEST_CASE("Float32 activations stay float32 whatever a checkpoint says of its inputs") {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"quantization_config":)" +
                                     Compressed("int-quantized", kDynamicInput, "") + "}");

  CHECK(ReadUsedQuantization(directory.path(), {}, Dtype::kBfloat16).value().quantizes_input);
  CHECK_FALSE(ReadUsedQuantization(directory.path(), {}, Dtype::kFloat32).value().quantizes_input);
}

TEST_CASE("A model's formats have a name") {
  const WeightFormat plain = PlainFormat(Dtype::kBfloat16);
  const WeightFormat int8 = LinearFormat(plain, {.type = WeightType::kInt8}, Dtype::kBfloat16);
  const WeightFormat int4 = LinearFormat(plain, {.type = WeightType::kInt4}, Dtype::kBfloat16);

  CHECK_EQ(QuantizationName(plain, plain), "");
  CHECK_EQ(QuantizationName(int8, int8), "int8 with inputs of int8");
  CHECK_EQ(QuantizationName(int4, plain), "int4 in groups of 128, head bfloat16");
}

}  // namespace
}  // namespace autoglm
