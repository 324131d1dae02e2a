#include "model/decoder/decoder_config.h"

#include <string>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

constexpr const char* kSizes = R"("hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,
  "num_key_value_heads":2,"intermediate_size":96,"vocab_size":100,"max_position_embeddings":512)";

Result<DecoderConfig> Read(const std::string& json) {
  const TemporaryDirectory directory;
  directory.Write("config.json", json);
  return ReadDecoderConfig(directory.path());
}

// Reads a flat glm4 configuration with these further members.
Result<DecoderConfig> ReadGlm4(const std::string& members) {
  return Read(std::string(R"({"model_type":"glm4",)") + kSizes + members + "}");
}

void CheckRefusal(const Result<DecoderConfig>& config, Reason reason, const std::string& part) {
  REQUIRE_FALSE(config.ok());
  CHECK_EQ(config.status().reason(), reason);
  CHECK_MESSAGE(config.status().message().find(part) != std::string::npos,
                config.status().message());
}

TEST_CASE("A flat configuration without optional members gets the family's defaults") {
  const Result<DecoderConfig> config = ReadGlm4("");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().model_type, "glm4");
  CHECK_EQ(config.value().head_dim, 16);
  CHECK_EQ(config.value().num_rope_pairs, 4);
  CHECK_EQ(config.value().rms_norm_eps, 1e-5f);
  CHECK_EQ(config.value().rope_theta, 10000.0);
  CHECK(config.value().attention_bias);
  CHECK_FALSE(config.value().tie_word_embeddings);
  CHECK_FALSE(config.value().mrope_section.has_value());
  CHECK_FALSE(config.value().dtype.has_value());
}

TEST_CASE("Rotary parameters of version 4 stand beside the other members") {
  const Result<DecoderConfig> config = ReadGlm4(
      R"(,"rope_theta":500000,"partial_rotary_factor":1.0,"torch_dtype":"bfloat16",
         "rope_scaling":{"type":"default","mrope_section":[2,3,3]})");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().rope_theta, 500000.0);
  CHECK_EQ(config.value().num_rope_pairs, 8);
  CHECK_EQ(*config.value().mrope_section, std::array<int64_t, 3>{2, 3, 3});
  CHECK_EQ(config.value().dtype, Dtype::kBfloat16);
}

TEST_CASE("Rotary parameters of version 5 stand in a block of their own") {
  const Result<DecoderConfig> config = ReadGlm4(
      R"(,"head_dim":32,"dtype":"float16","rope_parameters":{"rope_type":"default",
         "rope_theta":20000.0,"partial_rotary_factor":0.5,"mrope_section":[2,3,3]})");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().rope_theta, 20000.0);
  CHECK_EQ(config.value().num_rope_pairs, 8);
  CHECK_EQ(config.value().dtype, Dtype::kFloat16);
}

TEST_CASE("A text_config is preferred to the same members at the top") {
  const Result<DecoderConfig> config =
      Read(std::string(R"({"model_type":"glm4v","hidden_size":1,"dtype":"bfloat16",
                           "tie_word_embeddings":true,"text_config":{"model_type":"glm4v_text",
                           "dtype":null,)") +
           kSizes + "}}");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().model_type, "glm4v");
  CHECK_EQ(config.value().hidden_size, 64);
  CHECK_EQ(config.value().dtype, Dtype::kBfloat16);
  CHECK(config.value().tie_word_embeddings);
}

TEST_CASE("A flat glm4v and a modular autoglm_phone are read alike") {
  CHECK(Read(std::string(R"({"model_type":"glm4v",)") + kSizes + "}").ok());
  CHECK(Read(std::string(R"({"model_type":"autoglm_phone","text_config":{"model_type":"glm4",)") +
             kSizes + "}}")
            .ok());
}

TEST_CASE("The configurations of the reference checkpoints are read") {
  CHECK(ReadDecoderConfig(std::string(TESTDATA) + "/glm4-tiny").ok());
  CHECK(ReadDecoderConfig(std::string(TESTDATA) + "/glm4-tiny-bf16").ok());
}

TEST_CASE("An architecture that is not computed is refused by name") {
  CheckRefusal(Read(std::string(R"({"model_type":"llama",)") + kSizes + "}"), Reason::kUnsupported,
               "model_type \"llama\"");
  CheckRefusal(Read(std::string(R"({"model_type":"glm4v","text_config":{"model_type":"qwen2",)") +
                    kSizes + "}}"),
               Reason::kUnsupported, "model_type \"qwen2\"");
  CheckRefusal(ReadGlm4(R"(,"hidden_act":"gelu")"), Reason::kUnsupported, "hidden_act \"gelu\"");
  CheckRefusal(ReadGlm4(R"(,"rope_scaling":{"rope_type":"yarn"})"), Reason::kUnsupported,
               "rope_type \"yarn\"");
  CheckRefusal(ReadGlm4(R"(,"dtype":"float8")"), Reason::kUnsupported, "dtype \"float8\"");
  CheckRefusal(ReadGlm4(R"(,"head_dim":512)"), Reason::kUnsupported, "head_dim 512");
}

TEST_CASE("Members that are missing, of another type or contradictory are refused by name") {
  CheckRefusal(Read(R"({"model_type":"glm4"})"), Reason::kInvalidCheckpoint, "\"hidden_size\"");
  CheckRefusal(Read("[]"), Reason::kInvalidCheckpoint, "expected an object");
  CheckRefusal(Read("{"), Reason::kInvalidCheckpoint, "not valid JSON");
  CheckRefusal(Read(R"({"model_type":"glm4v","text_config":3})"), Reason::kInvalidCheckpoint,
               "text_config: expected an object");
  CheckRefusal(ReadGlm4(R"(,"head_dim":-1)"), Reason::kInvalidCheckpoint, "\"head_dim\"");
  CheckRefusal(ReadGlm4(R"(,"rms_norm_eps":"x")"), Reason::kInvalidCheckpoint, "\"rms_norm_eps\"");
  CheckRefusal(ReadGlm4(R"(,"attention_bias":1)"), Reason::kInvalidCheckpoint,
               "\"attention_bias\"");
  CheckRefusal(ReadGlm4(R"(,"partial_rotary_factor":1.5)"), Reason::kInvalidCheckpoint,
               "partial_rotary_factor");
  CheckRefusal(ReadGlm4(R"(,"rope_scaling":{"mrope_section":[1,1,1]})"), Reason::kInvalidCheckpoint,
               "sum to 4");
}

TEST_CASE("Query heads that the KV heads do not divide are refused with both numbers") {
  std::string sizes = kSizes;
  sizes.replace(sizes.find("\"num_key_value_heads\":2"), 23, "\"num_key_value_heads\":3");

  CheckRefusal(Read(R"({"model_type":"glm4",)" + sizes + "}"), Reason::kInvalidCheckpoint,
               "num_attention_heads 4 is no multiple of num_key_value_heads 3");
}

TEST_CASE("A folder without config.json is refused by its path") {
  const TemporaryDirectory directory;

  CheckRefusal(ReadDecoderConfig(directory.path()), Reason::kInvalidCheckpoint, "config.json");
}

}  // namespace
}  // namespace autoglm
