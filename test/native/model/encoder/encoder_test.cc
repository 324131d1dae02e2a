#include "model/encoder/encoder.h"

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden_items.h"
#include "kernels/open_device.h"

// It is included last, because its CHECK replaces the one of base/check.h.
#include "doctest/doctest.h"

namespace autoglm {
namespace {

std::unique_ptr<Encoder> LoadEncoder(const std::string& fixture, Modality modality) {
  return LoadEncoderOn(OpenDevice, fixture, modality);
}

TEST_CASE("Glm4vVision agrees with the reference, each picture alone and together") {
  CheckRows(OpenDevice, "glm4v-tiny", Modality::kImage, ImageItems("glm4v-tiny"), kFloat32Tolerance);
}

TEST_CASE("Glm4vVision reads shards in bfloat16 under the oldest names") {
  CheckRows(OpenDevice, "glm4v-tiny-sharded", Modality::kImage, ImageItems("glm4v-tiny-sharded"),
            kBfloat16Tolerance);
}

TEST_CASE("Conformer with 4x subsampling agrees with the reference, alone and together") {
  CheckRows(OpenDevice, "conformer-tiny", Modality::kAudio, AudioItems("conformer-tiny"), kFloat32Tolerance);
}

TEST_CASE("Conformer with 8x subsampling and scaled input agrees with the reference") {
  CheckRows(OpenDevice, "parakeet-tiny", Modality::kAudio, AudioItems("parakeet-tiny"), kFloat32Tolerance);
}

TEST_CASE("Vit agrees with the reference, class token included") {
  const EncoderTrace trace = CheckVit(OpenDevice);

  CHECK_EQ(trace.encoded.rows, std::vector<float>(trace.states.begin() + 48, trace.states.end()));
}

TEST_CASE("Encoder refuses an impossible item alone") {
  const GoldenItems items = ImageItems("glm4v-tiny");
  const std::unique_ptr<Encoder> encoder = LoadEncoder("glm4v-tiny", Modality::kImage);
  const std::vector<uint8_t> line(3 * 300, 7);
  const std::vector<MediaItem> mixed = {
      items.items[0],
      {.input = ImageInput{{line.data(), {1, 300}}}, .grid = {.t = 1, .h = 3, .w = 20}},
      {.input = AudioInput{.samples = {}, .sample_rate_hz = 16000}, .grid = {}},
      items.items[3]};

  const std::vector<EncodedItem> results = encoder->Encode(mixed);

  CHECK(results[0].status.ok());
  CHECK_EQ(results[1].status.reason(), Reason::kInvalidRequest);
  CHECK_EQ(results[2].status.message(), "a recording was sent to a vision encoder");
  CHECK_LT(RelativeError(results[3].rows, items.expected[3]), kFloat32Tolerance);
}

TEST_CASE("Encoder leaves out an item that was cancelled before it began") {
  const GoldenItems items = ImageItems("glm4v-tiny");
  const std::unique_ptr<Encoder> encoder = LoadEncoder("glm4v-tiny", Modality::kImage);
  const CancelFlag cancelled = true;
  std::vector<MediaItem> both = {items.items[0], items.items[3]};
  both[0].cancelled = &cancelled;

  const std::vector<EncodedItem> results = encoder->Encode(both);

  CHECK(results[0].cancelled);
  CHECK(results[0].rows.empty());
  CHECK_LT(RelativeError(results[1].rows, items.expected[1 + 2]), kFloat32Tolerance);
}

TEST_CASE("Encoder plans the rows that encoding gives") {
  const std::unique_ptr<Encoder> encoder = LoadEncoder("glm4v-tiny", Modality::kImage);
  const std::vector<uint8_t> pixels(3 * 90 * 120, 99);

  const Result<ItemPlan> plan = encoder->preprocessor()->Plan(ImageFacts{.size = {90, 120}, .limits = {}});
  REQUIRE(plan.ok());
  const MediaItem item = {.input = ImageInput{{pixels.data(), {90, 120}}},
                          .grid = plan.value().grid};
  const std::vector<EncodedItem> results = encoder->Encode(std::span(&item, 1));

  REQUIRE(results[0].status.ok());
  CHECK_EQ(results[0].plan.grid, plan.value().grid);
  CHECK_EQ(results[0].rows.size(), static_cast<size_t>(plan.value().num_rows) * 128);
}

TEST_CASE("MediaPreprocessor refuses a picture no plan exists for") {
  const std::unique_ptr<Encoder> encoder = LoadEncoder("glm4v-tiny", Modality::kImage);

  const Result<ItemPlan> plan =
      encoder->preprocessor()->Plan(ImageFacts{.size = {1, 300}, .limits = {}});

  CHECK_EQ(plan.status().reason(), Reason::kInvalidRequest);
  CHECK_NE(plan.status().message().find("aspect ratio is above 200"), std::string::npos);
}

TEST_CASE("MediaPreprocessor refuses a grid that does not fit the recording or the tower") {
  const std::unique_ptr<Encoder> encoder = LoadEncoder("conformer-tiny", Modality::kAudio);
  const std::vector<float> second(16000, 0.1f);
  const AudioInput input = {.samples = second, .sample_rate_hz = 16000};
  const Result<ItemPlan> plan = encoder->preprocessor()->Plan(
      AudioFacts{.num_samples = 16000, .sample_rate_hz = 16000});
  REQUIRE(plan.ok());
  Grid longer = plan.value().grid;
  longer.t += 1;

  CHECK(encoder->preprocessor()->PlanOf({.input = input, .grid = plan.value().grid}).ok());
  for (const Grid& grid : {longer, Grid{.t = 0, .h = 1, .w = 1},
                           Grid{.t = plan.value().grid.t, .h = 2, .w = 1}}) {
    CHECK_EQ(encoder->preprocessor()->PlanOf({.input = input, .grid = grid}).status().message(),
             "the grid does not fit the item or the model");
  }
}

TEST_CASE("MediaPreprocessor refuses a grid of a picture that no plan gives") {
  const std::unique_ptr<Encoder> encoder = LoadEncoder("glm4v-tiny", Modality::kImage);
  const std::vector<uint8_t> pixels(3 * 90 * 120, 99);
  const ImageInput input = {{pixels.data(), {90, 120}}};
  constexpr int64_t kHuge = int64_t{1} << 31;

  CHECK(encoder->preprocessor()->PlanOf({.input = input, .grid = {.t = 1, .h = 6, .w = 8}}).ok());
  for (const Grid& grid : {Grid{.t = 1, .h = 3, .w = 8}, Grid{.t = 2, .h = 6, .w = 8},
                           Grid{.t = 1, .h = 0, .w = 8}, Grid{.t = 1, .h = kHuge, .w = kHuge}}) {
    CHECK_FALSE(encoder->preprocessor()->PlanOf({.input = input, .grid = grid}).ok());
  }
  const ImageInput empty = {{pixels.data(), {0, 0}}};
  CHECK_FALSE(
      encoder->preprocessor()->PlanOf({.input = empty, .grid = {.t = 1, .h = 6, .w = 8}}).ok());
}

TEST_CASE("Encoder says how long a recording may be") {
  const std::unique_ptr<Encoder> encoder = LoadEncoder("conformer-tiny", Modality::kAudio);

  const Result<ItemPlan> longest =
      encoder->preprocessor()->Plan(AudioFacts{.num_samples = 200 * 16000, .sample_rate_hz = 16000});
  const Result<ItemPlan> longer =
      encoder->preprocessor()->Plan(AudioFacts{.num_samples = 201 * 48000, .sample_rate_hz = 48000});
  const Result<ItemPlan> silent =
      encoder->preprocessor()->Plan(AudioFacts{.num_samples = 0, .sample_rate_hz = 16000});

  REQUIRE(longest.ok());
  CHECK_EQ(longest.value().num_rows, 5000);
  CHECK_EQ(encoder->description().max_rows, 5000);
  CHECK_EQ(longer.status().message(),
           "the recording lasts 201.00 s; the encoder takes at most 200.00 s");
  CHECK_EQ(silent.status().message(),
           "the recording lasts 0.00 s; the encoder needs at least 0.02 s");
}

TEST_CASE("Encoder refuses a checkpoint that has no tower of the modality") {
  EncoderOptions options;
  options.directory = FixturePath("glm4v-tiny");
  options.modality = Modality::kAudio;

  const Result<std::unique_ptr<Encoder>> encoder = Encoder::Load(options, OpenDevice);

  REQUIRE_FALSE(encoder.ok());
  CHECK_EQ(encoder.status().reason(), Reason::kUnsupported);
  CHECK_NE(encoder.status().message().find("no supported speech tower"), std::string::npos);
}

}  // namespace
}  // namespace autoglm
