#include "kernels/sampling/sampler.h"

#include <cmath>
#include <limits>

#include "doctest/doctest.h"
#include "kernels/dispatch.h"
#include "kernels/sampling/philox.h"

namespace autoglm {
namespace {

SampleParams Params(uint32_t vocab_size) {
  SampleParams params;
  params.vocab_limit = vocab_size;
  return params;
}

Status TrySampler(std::vector<float> logits, const TokenChoice& output, ChosenToken& result) {
  const kernels::CpuKernels kernels = kernels::SupportedLevels().front().kernels;
  const Sampler sampler(kernels.logits);
  std::vector<Candidate> candidates;
  return sampler.Run(logits, output, candidates, result);
}

ChosenToken RunSampler(const std::vector<float>& logits, const TokenChoice& output) {
  ChosenToken result;
  REQUIRE(TrySampler(logits, output, result).ok());
  return result;
}

Reason Refusal(const std::vector<float>& logits, const TokenChoice& output) {
  ChosenToken result;
  return TrySampler(logits, output, result).reason();
}

// Returns the mask that allows these tokens of a vocabulary of at most 64.
std::vector<uint32_t> Mask(const std::vector<uint32_t>& allowed) {
  std::vector<uint32_t> words(2, 0u);
  for (const uint32_t id : allowed) words[id / 32] |= 1u << (id % 32);
  return words;
}

uint32_t Sample(const std::vector<float>& logits, const SampleParams& params) {
  return RunSampler(logits, {.sample = params}).token_id;
}

// Counts how often each token is drawn over positions 0..num_draws - 1.
std::vector<int> Histogram(const std::vector<float>& logits, SampleParams params, int num_draws) {
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < num_draws; ++i) {
    params.position = static_cast<uint32_t>(i);
    counts[Sample(logits, params)]++;
  }
  return counts;
}

TEST_CASE("Philox gives the published test vectors") {
  using Bits = std::array<uint32_t, 4>;
  CHECK_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
           Bits{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK_EQ(
      Philox4x32({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, {0xffffffffu, 0xffffffffu}),
      Bits{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK_EQ(
      Philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
      Bits{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("Random numbers depend on seed, stream and position, each of them") {
  SampleParams params = Params(1);
  const double base = RandomUnit(params);

  CHECK_EQ(RandomUnit(params), base);
  for (const auto change :
       {+[](SampleParams& p) { p.seed = 1; }, +[](SampleParams& p) { p.seed = uint64_t{1} << 32; },
        +[](SampleParams& p) { p.stream = 1; }, +[](SampleParams& p) { p.position = 1; }}) {
    SampleParams changed = params;
    change(changed);
    CHECK_NE(RandomUnit(changed), base);
  }
}

TEST_CASE("Greedy sampling takes the lowest id among equals") {
  CHECK_EQ(Sample({0.0f, 2.0f, 2.0f, 1.0f}, Params(4)), 1);
}

TEST_CASE("Ids at or above the vocabulary limit are never chosen") {
  SampleParams params = Params(2);

  CHECK_EQ(Sample({0.0f, 1.0f, 9.0f}, params), 1);
  params.temperature = 1.0f;
  CHECK_EQ(Histogram({0.0f, 1.0f, 9.0f}, params, 200)[2], 0);
}

TEST_CASE("Mask and forbidden ids bound the choice, and bias cannot bring one back") {
  SampleParams params = Params(4);
  params.allowed_tokens = Mask({0, 1, 2});
  params.forbidden_token_ids = {2};
  params.bias_token_ids = {3, 0};
  params.bias_values = {100.0f, 0.5f};

  CHECK_EQ(Sample({0.0f, 1.0f, 3.0f, 5.0f}, params), 1);
  CHECK_EQ(Sample({0.6f, 1.0f, 3.0f, 5.0f}, params), 0);
}

TEST_CASE("Forbidden ids have no effect where they would leave none of the allowed") {
  SampleParams params = Params(3);
  params.allowed_tokens = Mask({1, 2});
  params.forbidden_token_ids = {2, 1};

  CHECK_EQ(Sample({9.0f, 1.0f, 2.0f}, params), 2);
}

TEST_CASE("A mask keeps the tokens whose bits are set, in every word") {
  std::vector<float> logits(40, 1.0f);
  logits[5] = 9.0f;
  logits[33] = 3.0f;
  logits[39] = 2.0f;
  SampleParams params = Params(40);

  params.allowed_tokens = Mask({0, 31, 33, 39});
  CHECK_EQ(Sample(logits, params), 33);
  params.allowed_tokens = Mask({0, 31});
  CHECK_EQ(Sample(logits, params), 0);
  params.allowed_tokens = std::vector<uint32_t>(2, 0xffffffffu);
  CHECK_EQ(Sample(logits, params), 5);
}

TEST_CASE("A mask bounds the choice before any other parameter sees the logits") {
  SampleParams params = Params(4);
  params.temperature = 1.0f;
  params.top_k = 2;
  params.min_p = 0.1f;
  params.bias_token_ids = {3};
  params.bias_values = {100.0f};
  params.allowed_tokens = Mask({0, 1});

  const std::vector<int> counts = Histogram({0.0f, 1.0f, 50.0f, 5.0f}, params, 300);

  CHECK_GT(counts[0], 0);
  CHECK_GT(counts[1], 0);
  CHECK_EQ(counts[2] + counts[3], 0);
}

TEST_CASE("Forbidden ids have no effect if they would leave none of what a mask allows") {
  SampleParams params = Params(3);
  params.allowed_tokens = Mask({0, 2, 40});
  params.forbidden_token_ids = {2};

  CHECK_EQ(Sample({1.0f, 9.0f, 5.0f}, params), 0);
  params.forbidden_token_ids = {2, 0, 2};
  CHECK_EQ(Sample({1.0f, 9.0f, 5.0f}, params), 2);
}

TEST_CASE("A mask that leaves no token of the vocabulary is refused") {
  SampleParams params = Params(2);
  for (const std::vector<uint32_t>& allowed :
       {std::vector<uint32_t>{}, std::vector<uint32_t>{2, 40}}) {
    CAPTURE(allowed.size());
    params.allowed_tokens = Mask(allowed);
    CHECK_EQ(Refusal({1.0f, 2.0f}, {.sample = params}), Reason::kInvalidRequest);
  }
}

TEST_CASE("Logits that are not finite are an engine failure under a mask too") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  SampleParams params = Params(2);
  params.allowed_tokens = Mask({1});

  CHECK_EQ(Refusal({nan, nan}, {.sample = params}), Reason::kEngineFailed);
}

TEST_CASE("The repetition penalty divides positive and multiplies negative logits") {
  SampleParams params = Params(3);
  params.repetition_penalty = 2.0f;
  params.seen_token_ids = {0, 1};
  std::vector<float> logits = {3.0f, -1.0f, 1.0f};

  AdjustLogits(logits, params);

  CHECK_EQ(logits, std::vector<float>{1.5f, -2.0f, 1.0f});
}

TEST_CASE("Frequency counts each generation and presence counts once") {
  SampleParams params = Params(3);
  params.frequency_penalty = 0.25f;
  params.presence_penalty = 1.0f;
  params.generated_token_ids = {0, 2};
  params.generated_counts = {3, 1};
  std::vector<float> logits = {2.0f, 2.0f, 2.0f};

  AdjustLogits(logits, params);

  CHECK_EQ(logits, std::vector<float>{0.25f, 2.0f, 0.75f});
}

TEST_CASE("Penalties come after bias: repetition acts on the biased logit") {
  SampleParams params = Params(1);
  params.bias_token_ids = {0};
  params.bias_values = {3.0f};
  params.repetition_penalty = 2.0f;
  params.seen_token_ids = {0};
  std::vector<float> logits = {1.0f};

  AdjustLogits(logits, params);

  CHECK_EQ(logits[0], 2.0f);
}

TEST_CASE("Sampling follows the softmax of the tempered logits") {
  SampleParams params = Params(3);
  params.temperature = 2.0f;
  const std::vector<float> logits = {0.0f, 2.0f * std::log(2.0f), 2.0f * std::log(5.0f)};

  const std::vector<int> counts = Histogram(logits, params, 8000);

  // The probabilities are 1/8, 2/8 and 5/8; five standard deviations are below 0.03.
  CHECK_LT(std::abs(counts[0] / 8000.0 - 0.125), 0.03);
  CHECK_LT(std::abs(counts[1] / 8000.0 - 0.25), 0.03);
  CHECK_LT(std::abs(counts[2] / 8000.0 - 0.625), 0.03);
}

TEST_CASE("Top-k keeps the k likeliest and every one as likely as the last") {
  SampleParams params = Params(4);
  params.temperature = 1.0f;
  params.top_k = 2;

  const std::vector<int> counts = Histogram({1.0f, 2.0f, 1.0f, 0.0f}, params, 500);

  CHECK_GT(counts[0], 0);
  CHECK_GT(counts[1], 0);
  CHECK_GT(counts[2], 0);
  CHECK_EQ(counts[3], 0);
}

TEST_CASE("Top-k of one is greedy at any temperature") {
  SampleParams params = Params(3);
  params.temperature = 5.0f;
  params.top_k = 1;

  CHECK_EQ(Histogram({0.0f, 0.1f, 0.05f}, params, 100)[1], 100);
}

TEST_CASE("Top-p keeps the smallest set of likeliest tokens that reaches p") {
  // The probabilities are 0.5, 0.25, 0.125 and 0.125.
  const std::vector<float> logits = {std::log(4.0f), std::log(2.0f), 0.0f, 0.0f};
  SampleParams params = Params(4);
  params.temperature = 1.0f;

  params.top_p = 0.45f;
  CHECK_EQ(Histogram(logits, params, 300)[0], 300);
  params.top_p = 0.7f;
  const std::vector<int> two = Histogram(logits, params, 300);
  CHECK_GT(two[1], 0);
  CHECK_EQ(two[2] + two[3], 0);
  params.top_p = 0.8f;
  const std::vector<int> three = Histogram(logits, params, 300);
  CHECK_GT(three[2], 0);
  CHECK_EQ(three[3], 0);
}

TEST_CASE("Top-p never leaves nothing") {
  SampleParams params = Params(2);
  params.temperature = 1.0f;
  params.top_p = 1e-9f;

  CHECK_EQ(Histogram({0.0f, 0.5f}, params, 50)[1], 50);
}

TEST_CASE("Min-p drops tokens far below the likeliest") {
  SampleParams params = Params(3);
  params.temperature = 1.0f;
  params.min_p = 0.3f;

  const std::vector<int> counts = Histogram({0.0f, std::log(0.5f), std::log(0.2f)}, params, 300);

  CHECK_GT(counts[1], 0);
  CHECK_EQ(counts[2], 0);
}

TEST_CASE("A temperature near zero takes one of the likeliest") {
  SampleParams params = Params(3);
  for (const float temperature : {1e-6f, std::numeric_limits<float>::denorm_min()}) {
    CAPTURE(temperature);
    params.temperature = temperature;

    CHECK_EQ(Histogram({0.0f, 0.5f, 0.25f}, params, 50)[1], 50);
  }
}

TEST_CASE("Logits that are not numbers are never drawn, with filters and without") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  SampleParams params = Params(4);
  params.temperature = 1.0f;
  for (const float top_p : {1.0f, 0.99f}) {
    CAPTURE(top_p);
    params.top_p = top_p;

    const std::vector<int> counts = Histogram({nan, 0.0f, nan, 0.0f}, params, 200);

    CHECK_GT(counts[1], 0);
    CHECK_GT(counts[3], 0);
    CHECK_EQ(counts[0] + counts[2], 0);
  }
}

TEST_CASE("A drawn token depends on its position alone, not on how often was drawn before") {
  SampleParams params = Params(4);
  params.temperature = 1.0f;
  params.seed = 7;
  params.position = 5;
  const std::vector<float> logits = {0.1f, 0.2f, 0.3f, 0.4f};
  const uint32_t first = Sample(logits, params);

  Histogram(logits, params, 20);

  CHECK_EQ(Sample(logits, params), first);
}

TEST_CASE("Log-probabilities and ranks are those of the raw logits") {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  SampleParams params = Params(3);
  params.forbidden_token_ids = {2};

  const ChosenToken result = RunSampler(logits, {.sample = params, .num_logprobs = 2});

  CHECK_EQ(result.token_id, 1);
  CHECK_EQ(result.logprob, doctest::Approx(std::log(0.25)).epsilon(1e-5));
  CHECK_EQ(result.rank, 2);
  REQUIRE_EQ(result.top.size(), 2);
  CHECK_EQ(result.top[0].token_id, 2);
  CHECK_EQ(result.top[0].logprob, doctest::Approx(std::log(0.625)).epsilon(1e-5));
  CHECK_EQ(result.top[1].token_id, 1);
}

TEST_CASE("A given token is scored without being sampled") {
  const ChosenToken result =
      RunSampler({0.0f, 0.0f, 0.0f, 0.0f}, {.target_token = 3, .num_logprobs = 0});

  CHECK_EQ(result.token_id, 3);
  CHECK_EQ(result.logprob, doctest::Approx(-std::log(4.0)).epsilon(1e-5));
  CHECK_EQ(result.rank, 1);
  CHECK(result.top.empty());
}

TEST_CASE("Alternatives of equal probability come in the order of their ids") {
  const ChosenToken result =
      RunSampler({1.0f, 2.0f, 2.0f, 1.0f, 1.0f}, {.target_token = 0, .num_logprobs = 4});

  REQUIRE_EQ(result.top.size(), 4);
  CHECK_EQ(result.top[0].token_id, 1);
  CHECK_EQ(result.top[1].token_id, 2);
  CHECK_EQ(result.top[2].token_id, 0);
  CHECK_EQ(result.top[3].token_id, 3);
}

TEST_CASE("Without a wish for log-probabilities there are none") {
  const ChosenToken result = RunSampler({0.0f, 1.0f}, {.sample = Params(2)});

  CHECK(std::isnan(result.logprob));
  CHECK_EQ(result.rank, 0);
  CHECK(result.top.empty());
}

TEST_CASE("Logits that are not finite are an engine failure, not a token") {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    CAPTURE(value);

    CHECK_EQ(Refusal({value, value}, {.sample = Params(2)}), Reason::kEngineFailed);
  }
}

TEST_CASE("Logits that are not finite have no log-probability either") {
  const float nan = std::numeric_limits<float>::quiet_NaN();

  CHECK_EQ(Refusal({nan, nan}, {.target_token = 1, .num_logprobs = 2}), Reason::kEngineFailed);
}

TEST_CASE("Parameters that forbid every token are refused, whatever the logits are") {
  SampleParams params = Params(2);
  params.forbidden_token_ids = {0, 1};

  CHECK_EQ(Refusal({1.0f, 2.0f}, {.sample = params}), Reason::kInvalidRequest);
}

}  // namespace
}  // namespace autoglm
