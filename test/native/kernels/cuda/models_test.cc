// Models on the emulator of a GPU, against what the reference implementation saved: the same files
// of model/ that run on a CPU. Memory of the GPU faults where a model touches it itself.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint/json.h"
#include "model/encoder/golden_items.h"

// It is included last, because it includes doctest, whose CHECK replaces the one of base/check.h.
#include "kernels/cuda/gpu_decoder.h"

namespace autoglm {
namespace {

constexpr double kInt8Tolerance = 5e-2;

void CheckDecoder(const std::string& fixture, Dtype activation_dtype, double tolerance) {
  CAPTURE(fixture);
  const std::unique_ptr<Decoder> decoder = LoadGpuDecoder(fixture, activation_dtype);
  const Golden golden(fixture);

  const std::vector<float> logits = PromptLogits(*decoder, golden);

  CHECK_LT(RelativeError(logits, golden.Floats("prompt0.logits")), tolerance);
}

// Plans the tokens of one sequence that stands in blocks 0, 1, 2, ... from position `begin`, and the
// most likely token behind them, of those that the fixture's tokenizer has.
StepPlan PlanOf(std::span<const int32_t> tokens, int32_t begin) {
  constexpr int32_t kBlocks = 16;
  constexpr uint32_t kNumTokens = 1490;
  StepPlan plan;
  plan.token_ids.assign(tokens.begin(), tokens.end());
  const int32_t count = static_cast<int32_t>(tokens.size());
  for (int axis = 0; axis < 3; ++axis) {
    for (int32_t i = 0; i < count; ++i) plan.positions.push_back(begin + i);
  }
  for (int32_t i = 0; i < count; ++i) plan.slots.push_back(begin + i);
  plan.query_starts = {0, count};
  plan.context_lens = {begin + count};
  plan.max_blocks_per_sequence = kBlocks;
  for (int32_t block = 0; block < kBlocks; ++block) plan.block_tables.push_back(block);
  plan.output_tokens = {count - 1};
  SampleParams greedy;
  greedy.vocab_limit = kNumTokens;
  plan.outputs.push_back({.sample = greedy});
  return plan;
}

// Returns the most likely tokens behind a prompt, which comes in two steps, and each token in one.
std::vector<int32_t> ChooseTokens(Decoder& decoder, const std::vector<int32_t>& prompt,
                                  size_t count) {
  std::vector<int32_t> chosen;
  StepResult result;
  Status status = decoder.Execute(PlanOf(std::span(prompt).first(4), 0), result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  std::vector<int32_t> next(prompt.begin() + 4, prompt.end());
  int32_t begin = 4;
  while (chosen.size() < count) {
    status = decoder.Execute(PlanOf(next, begin), result);
    REQUIRE_MESSAGE(status.ok(), status.message());
    begin += static_cast<int32_t>(next.size());
    next = {static_cast<int32_t>(result.outputs[0].token_id)};
    chosen.push_back(next[0]);
  }
  return chosen;
}

TEST_CASE("A decoder on a GPU chooses the tokens of the reference") {
  const std::string fixture = "glm4-tiny";
  const Result<Json> golden = ReadJsonFile(FixturePath(fixture) + "/golden.json");
  REQUIRE(golden.ok());
  const std::vector<int32_t> expected = golden.value()["prompts"][0]["greedy"];
  const std::vector<int32_t> prompt = Golden(fixture).Integers("prompt0.ids");
  const std::unique_ptr<Decoder> decoder = LoadGpuDecoder(fixture, Dtype::kFloat32);

  const std::vector<int32_t> chosen = ChooseTokens(*decoder, prompt, expected.size());

  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK_EQ(chosen[i], expected[i]);
  }
}

TEST_CASE("A decoder of float32 agrees with the reference on a GPU") {
  CheckDecoder("glm4-tiny", Dtype::kFloat32, kFloat32Tolerance);
}

TEST_CASE("A decoder that rounds to bfloat16 agrees with the reference on a GPU") {
  CheckDecoder("glm4-tiny", Dtype::kBfloat16, kBfloat16Tolerance);
  CheckDecoder("glm4-tiny-bf16", Dtype::kBfloat16, kBfloat16Tolerance);
}

TEST_CASE("Quantized decoders agree with the reference on a GPU") {
  CheckDecoder("glm4-tiny-w4a16", Dtype::kBfloat16, kBfloat16Tolerance);
  CheckDecoder("glm4-tiny-w8a8", Dtype::kBfloat16, kInt8Tolerance);
}

// Leaves the first items alone: an emulator takes its time.
GoldenItems First(GoldenItems items, size_t count) {
  items.items.resize(count);
  items.expected.resize(count);
  return items;
}

TEST_CASE("The vision tower agrees with the reference on a GPU, each picture alone and together") {
  CheckRows(cuda::OpenCuda, "glm4v-tiny", Modality::kImage, First(ImageItems("glm4v-tiny"), 2),
            kFloat32Tolerance);
}

TEST_CASE("The vision tower reads shards in bfloat16 on a GPU") {
  CheckRows(cuda::OpenCuda, "glm4v-tiny-sharded", Modality::kImage,
            First(ImageItems("glm4v-tiny-sharded"), 1), kBfloat16Tolerance);
}

TEST_CASE("Conformers agree with the reference on a GPU, alone and together") {
  for (const char* fixture : {"conformer-tiny", "parakeet-tiny"}) {
    CheckRows(cuda::OpenCuda, fixture, Modality::kAudio, First(AudioItems(fixture), 1),
              kFloat32Tolerance);
  }
}

TEST_CASE("Vit agrees with the reference on a GPU") { CheckVit(cuda::OpenCuda); }

}  // namespace
}  // namespace autoglm
