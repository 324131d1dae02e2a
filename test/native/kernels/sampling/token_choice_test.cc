#include "kernels/sampling/token_choice.h"

#include <cmath>
#include <functional>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr uint32_t kVocabSize = 50;

TEST_CASE("Sampling parameters outside their ranges are refused by name") {
  struct BadParams {
    const char* message;  // part of the refusal
    std::function<void(SampleParams&)> apply;
  };
  const float nan = std::nanf("");
  const auto set = [](float SampleParams::* field, float value) {
    return [=](SampleParams& params) { params.*field = value; };
  };
  const std::vector<BadParams> all = {
      {"temperature", set(&SampleParams::temperature, -1.0f)},
      {"temperature", set(&SampleParams::temperature, nan)},
      {"topP", set(&SampleParams::top_p, 0.0f)},
      {"topP", set(&SampleParams::top_p, 1.5f)},
      {"minP", set(&SampleParams::min_p, -0.1f)},
      {"repetitionPenalty", set(&SampleParams::repetition_penalty, 0.0f)},
      {"presencePenalty", set(&SampleParams::presence_penalty, nan)},
      {"frequencyPenalty", set(&SampleParams::frequency_penalty, nan)},
      {"vocabLimit is 51", [](SampleParams& p) { p.vocab_limit = 51; }},
      {"vocabLimit is 0", [](SampleParams& p) { p.vocab_limit = 0; }},
      {"generatedCounts", [](SampleParams& p) { p.generated_counts = {1}; }},
      {"biasValues has 0", [](SampleParams& p) { p.bias_token_ids = {1}; }},
      {"seenTokenIds[0] is 50", [](SampleParams& p) { p.seen_token_ids = {50}; }},
      {"forbiddenTokenIds[0]", [](SampleParams& p) { p.forbidden_token_ids = {99}; }},
      {"allowedTokens has 0 entries, expected 2",
       [](SampleParams& p) { p.allowed_tokens = std::vector<uint32_t>(); }},
      {"allowedTokens has 3 entries, expected 2",
       [](SampleParams& p) { p.allowed_tokens = std::vector<uint32_t>(3); }},
  };
  for (const BadParams& bad : all) {
    CAPTURE(bad.message);
    SampleParams params;
    params.vocab_limit = kVocabSize;
    REQUIRE(CheckSampleParams(params, kVocabSize).ok());
    bad.apply(params);

    const Status status = CheckSampleParams(params, kVocabSize);

    CHECK_EQ(status.reason(), Reason::kInvalidRequest);
    CHECK_MESSAGE(status.message().find(bad.message) != std::string::npos, status.message());
  }
}

}  // namespace
}  // namespace autoglm
