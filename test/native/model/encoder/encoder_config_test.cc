#include "model/encoder/encoder_config.h"

#include <string>

#include "golden.h"
#include "temporary_directory.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr const char* kGlm4vSizes = R"("hidden_size":48,"depth":2,"num_heads":3,"patch_size":14,
  "temporal_patch_size":2,"image_size":336,"out_hidden_size":128,"intermediate_size":96,
  "spatial_merge_size":2)";
constexpr const char* kVitSizes = R"("hidden_size":48,"num_hidden_layers":2,"patch_size":16,
  "num_attention_heads":3,"intermediate_size":96)";
constexpr const char* kConformerSizes = R"("hidden_size":48,"num_hidden_layers":2,
  "num_attention_heads":4,"intermediate_size":128,"subsampling_conv_channels":32,
  "num_mel_bins":80,"subsampling_conv_kernel_size":3,"subsampling_conv_stride":2,
  "max_position_embeddings":5000)";

struct Files {
  std::string config;
  std::string preprocessor;  // empty: no such file
};

Result<EncoderConfig> Read(const Files& files, Modality modality) {
  const TemporaryDirectory directory;
  directory.Write("config.json", files.config);
  if (!files.preprocessor.empty()) {
    directory.Write("preprocessor_config.json", files.preprocessor);
  }
  return ReadEncoderConfig(directory.path(), modality);
}

Result<EncoderConfig> ReadGlm4v(const std::string& members, const std::string& preprocessor) {
  return Read({R"({"model_type":"glm4v","torch_dtype":"bfloat16","vision_config":{)" +
                   std::string(kGlm4vSizes) + members + "}}",
               preprocessor},
              Modality::kImage);
}

Result<EncoderConfig> ReadVit(const std::string& members, const std::string& preprocessor) {
  return Read({R"({"model_type":"vit",)" + std::string(kVitSizes) + members + "}", preprocessor},
              Modality::kImage);
}

Result<EncoderConfig> ReadConformer(const std::string& members, const std::string& preprocessor) {
  return Read({R"({"model_type":"parakeet_encoder",)" + std::string(kConformerSizes) + members +
                   "}",
               preprocessor},
              Modality::kAudio);
}

void CheckRefusal(const Result<EncoderConfig>& config, Reason reason, const std::string& part) {
  REQUIRE_FALSE(config.ok());
  CHECK_EQ(config.status().reason(), reason);
  CHECK_MESSAGE(config.status().message().find(part) != std::string::npos,
                config.status().message());
}

TEST_CASE("A GLM-4.1V tower gets its processor's defaults where there is no file") {
  const Result<EncoderConfig> config = ReadGlm4v(R"(,"model_type":"glm4v")", "");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().model_type, "glm4v_vision");
  CHECK_EQ(config.value().dtype, Dtype::kBfloat16);
  CHECK_EQ(config.value().OutSize(), 128);
  CHECK_EQ(config.value().image.mean[0], 0.48145466f);
  CHECK_EQ(config.value().image.smart_resize.factor, 28);
  CHECK_EQ(config.value().image.smart_resize.bounds.min_volume, 12544);
  CHECK_EQ(config.value().image.smart_resize.bounds.max_volume, 11760000);
  const Glm4vVisionConfig& tower = std::get<Glm4vVisionConfig>(config.value().tower);
  CHECK_EQ(tower.num_positions, 576);
  CHECK_EQ(tower.mlp_size, 128);
  CHECK_EQ(tower.merger_size, 96);
  CHECK_EQ(tower.rope_theta, 10000.0);
}

TEST_CASE("The bounds of a picture are those of preprocessor_config.json") {
  const Result<EncoderConfig> config =
      ReadGlm4v(R"(,"model_type":"glm4v_vision","rope_parameters":{"rope_theta":500})",
                R"({"size":{"shortest_edge":784,"longest_edge":100352},"image_std":[1,2,3]})");

  REQUIRE(config.ok());
  CHECK_EQ(config.value().image.smart_resize.bounds.min_volume, 784);
  CHECK_EQ(config.value().image.smart_resize.bounds.max_volume, 100352);
  CHECK_EQ(config.value().image.std[2], 3.0f);
  CHECK_EQ(std::get<Glm4vVisionConfig>(config.value().tower).rope_theta, 500.0);
}

TEST_CASE("A processor's block in processor_config.json wins over preprocessor_config.json") {
  const std::string nested =
      R"({"processor_class":"Glm4vProcessor","image_processor":{"size":{"shortest_edge":784,
          "longest_edge":200704},"max_pixels":5,"do_pad":null,"do_center_crop":false}})";
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"model_type":"glm4v","vision_config":{"model_type":"glm4v",)" +
                                     std::string(kGlm4vSizes) + "}}");
  directory.Write("processor_config.json", nested);
  const Result<EncoderConfig> alone = ReadEncoderConfig(directory.path(), Modality::kImage);
  directory.Write("preprocessor_config.json",
                  R"({"size":{"shortest_edge":3136,"longest_edge":100352}})");
  const Result<EncoderConfig> both = ReadEncoderConfig(directory.path(), Modality::kImage);

  REQUIRE(alone.ok());
  CHECK_EQ(alone.value().image.smart_resize.bounds.max_volume, 200704);
  CHECK_EQ(alone.value().unused_settings,
           std::vector<std::string>{directory.path() + "/processor_config.json: image_processor: "
                                                       "\"max_pixels\" has no effect here"});
  REQUIRE(both.ok());
  CHECK_EQ(both.value().image.smart_resize.bounds.max_volume, 200704);
  REQUIRE_EQ(both.value().unused_settings.size(), 2);
  CHECK_EQ(both.value().unused_settings[1],
           directory.path() + "/preprocessor_config.json: not read, because processor_config.json "
                              "has \"image_processor\"");
}

TEST_CASE("preprocessor_config.json is read where processor_config.json has no block for it") {
  const TemporaryDirectory directory;
  directory.Write("config.json", R"({"model_type":"glm4v","vision_config":{"model_type":"glm4v",)" +
                                     std::string(kGlm4vSizes) + "}}");
  directory.Write("processor_config.json", R"({"processor_class":"Glm4vProcessor"})");
  directory.Write("preprocessor_config.json",
                  R"({"size":{"shortest_edge":3136,"longest_edge":100352}})");
  const Result<EncoderConfig> config = ReadEncoderConfig(directory.path(), Modality::kImage);

  REQUIRE(config.ok());
  CHECK_EQ(config.value().image.smart_resize.bounds.max_volume, 100352);
  CHECK(config.value().unused_settings.empty());
}

TEST_CASE("A processor that does not rescale or normalise is obeyed, one that does not resize refused") {
  const Result<EncoderConfig> raw =
      ReadGlm4v(R"(,"model_type":"glm4v")", R"({"do_rescale":false,"do_normalize":false})");
  const Result<EncoderConfig> unsized =
      ReadGlm4v(R"(,"model_type":"glm4v")", R"({"do_resize":false})");

  REQUIRE(raw.ok());
  CHECK_EQ(raw.value().image.rescale_factor, 1.0f);
  CHECK_EQ(raw.value().image.mean[0], 0.0f);
  CHECK_EQ(raw.value().image.std[2], 1.0f);
  CheckRefusal(unsized, Reason::kUnsupported, "do_resize");
}

TEST_CASE("A lower bound to which every image would be enlarged has a limit") {
  for (const char* size : {R"({"shortest_edge":2147483647,"longest_edge":2147483647})",
                           R"({"shortest_edge":785,"longest_edge":784})"}) {
    const Result<EncoderConfig> config = ReadGlm4v(
        R"(,"model_type":"glm4v_vision")", std::string(R"({"size":)") + size + "}");

    REQUIRE_FALSE(config.ok());
    CHECK_NE(config.status().message().find("\"shortest_edge\": expected at most"),
             std::string::npos);
  }
}

TEST_CASE("A ViT's image size is a number or a pair") {
  const Result<EncoderConfig> square = ReadVit(R"(,"image_size":224)", "");
  const Result<EncoderConfig> tall = ReadVit(R"(,"image_size":[96,48])", "");

  REQUIRE(square.ok());
  REQUIRE(tall.ok());
  CHECK_EQ(*square.value().image.fixed_size, ImageSize{224, 224});
  CHECK_EQ(std::get<VitConfig>(tall.value().tower).grid, Grid{1, 6, 3});
  CHECK_EQ(tall.value().image.mean[1], 0.5f);
}

TEST_CASE("The demo model has gated projectors and blocks for two processors") {
  const std::string directory = FixturePath("../../deploy/models/phone-nano");
  const Result<EncoderConfig> image = ReadEncoderConfig(directory, Modality::kImage);
  const Result<EncoderConfig> audio = ReadEncoderConfig(directory, Modality::kAudio);

  REQUIRE(image.ok());
  REQUIRE(audio.ok());
  CHECK_EQ(image.value().PlanOf({1, 24, 12}).num_rows, 72);
  CHECK_EQ(image.value().projector->in_size, 768);
  CHECK_EQ(image.value().OutSize(), 256);
  CHECK_EQ(audio.value().projector->stack, 2);
  // Two frames after 4x subsampling need five mel frames.
  CHECK_EQ(audio.value().MinMelFrames(), 5);
  CHECK_EQ(audio.value().PlanOf({.t = 4, .h = 1, .w = 1}).num_rows, 0);
  CHECK_EQ(audio.value().PlanOf({.t = 5, .h = 1, .w = 1}).num_rows, 1);
}

TEST_CASE("A tower this engine does not compute is refused with what it would take") {
  CheckRefusal(ReadGlm4v(R"(,"model_type":"swin")", ""), Reason::kUnsupported,
               "\"swin\" is no supported vision tower; supported: glm4v_vision, vit");
  CheckRefusal(ReadGlm4v(R"(,"model_type":"glm4v_vision","attention_bias":true)", ""),
               Reason::kUnsupported, "attention_bias is not supported");
  CheckRefusal(ReadVit(R"(,"image_size":224,"hidden_act":"gelu_new")", ""), Reason::kUnsupported,
               "hidden_act \"gelu_new\" is not supported; supported: gelu");
  CheckRefusal(ReadConformer(R"(,"subsampling_factor":6,"conv_kernel_size":31)", ""),
               Reason::kUnsupported, "subsampling by a power of two");
  CheckRefusal(ReadConformer(R"(,"subsampling_factor":4,"conv_kernel_size":32)", ""),
               Reason::kUnsupported, "an odd conv_kernel_size");
}

TEST_CASE("Sizes that do not fit together are refused") {
  CheckRefusal(ReadVit(R"(,"image_size":100)", ""), Reason::kInvalidCheckpoint,
               "image_size: expected multiples of 16 pixels");
  CheckRefusal(ReadVit(R"(,"image_size":[96])", ""), Reason::kInvalidCheckpoint,
               "expected a number or [height, width]");
  CheckRefusal(Read({R"({"model_type":"glm4v","vision_config":{"model_type":"glm4v_vision"}})", ""},
                    Modality::kImage),
               Reason::kInvalidCheckpoint, "\"patch_size\": expected a positive integer");
}

TEST_CASE("A preprocessor that contradicts the tower is refused") {
  CheckRefusal(ReadVit(R"(,"image_size":96)", R"({"size":{"height":96,"width":48}})"),
               Reason::kInvalidCheckpoint, "width is 48, config.json says 96");
  CheckRefusal(ReadVit(R"(,"image_size":96)", R"({"resample":2})"), Reason::kUnsupported,
               "only bicubic is supported");
  CheckRefusal(ReadVit(R"(,"image_size":96)", R"({"image_mean":[0.5]})"),
               Reason::kInvalidCheckpoint, "\"image_mean\": expected three numbers");
  CheckRefusal(ReadVit(R"(,"image_size":96)", R"({"image_std":[1,0,1]})"),
               Reason::kInvalidCheckpoint, "image_std: expected positive numbers");
  CheckRefusal(ReadConformer(R"(,"subsampling_factor":4,"conv_kernel_size":31)",
                             R"({"feature_size":128})"),
               Reason::kInvalidCheckpoint, "feature_size is 128, config.json says 80");
  CheckRefusal(ReadConformer(R"(,"subsampling_factor":4,"conv_kernel_size":31)",
                             R"({"n_fft":500})"),
               Reason::kUnsupported, "an n_fft that is a power of two");
}

}  // namespace
}  // namespace autoglm
