#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cuda/device_twin.h"
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

using kernels::RandomFloats;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows of logits, and what is asked of each.
struct Step {
  int64_t vocab_size;
  std::vector<float> logits;
  std::vector<TokenChoice> choices;

  std::vector<ChosenToken> RunOn(const Device& device, Twin& twin) const {
    const int64_t rows = static_cast<int64_t>(choices.size());
    std::vector<ChosenToken> chosen(choices.size());
    device.ops->sample(*device.context, {DenseMatrix(twin.On(device), rows, vocab_size), choices,
                                         chosen});
    return chosen;
  }
};

void CheckSame(const ChosenToken& got, const ChosenToken& expected) {
  CHECK_EQ(got.status.reason(), expected.status.reason());
  CHECK_EQ(got.status.message(), expected.status.message());
  if (!expected.status.ok()) return;
  CHECK_EQ(got.token_id, expected.token_id);
  CHECK_EQ(got.rank, expected.rank);
  CHECK_EQ(std::isnan(got.logprob), std::isnan(expected.logprob));
  if (!std::isnan(expected.logprob)) CHECK(std::abs(got.logprob - expected.logprob) < 1e-5f);
  REQUIRE_EQ(got.top.size(), expected.top.size());
  for (size_t i = 0; i < got.top.size(); ++i) {
    CAPTURE(i);
    CHECK_EQ(got.top[i].token_id, expected.top[i].token_id);
    CHECK(std::abs(got.top[i].logprob - expected.top[i].logprob) < 1e-5f);
  }
}

void CheckAsOnCpu(const Devices& devices, const Step& step) {
  Twin twin(devices, step.logits);
  const std::vector<ChosenToken> got = step.RunOn(devices.gpu, twin);
  const std::vector<ChosenToken> expected = step.RunOn(devices.cpu, twin);
  for (size_t row = 0; row < got.size(); ++row) {
    CAPTURE(row);
    CheckSame(got[row], expected[row]);
  }
}

// Returns one token's choice for each of the same logits.
Step StepOf(const std::vector<float>& logits, const std::vector<TokenChoice>& choices) {
  Step step = {static_cast<int64_t>(logits.size()), {}, choices};
  for (size_t i = 0; i < choices.size(); ++i) {
    step.logits.insert(step.logits.end(), logits.begin(), logits.end());
  }
  return step;
}

SampleParams Params(int64_t vocab_size) {
  SampleParams params;
  params.vocab_limit = static_cast<uint32_t>(vocab_size);
  return params;
}

// Draws parameters of all kinds, many of them at once.
class Mixer {
 public:
  Mixer(uint32_t seed, int64_t vocab_size)
      : random_(seed), vocab_size_(static_cast<uint32_t>(vocab_size)) {}

  TokenChoice Choice() {
    TokenChoice choice;
    choice.target_token = Below(vocab_size_);
    choice.num_logprobs = Of<int32_t>({-1, -1, -1, 0, 3, 20});
    if (Below(12) == 0) return choice;
    SampleParams params = Params(vocab_size_ - Below(3));
    params.temperature = Of<float>({0.0f, 0.01f, 0.4f, 1.0f, 1.0f, 3.0f});
    params.top_k = Of<uint32_t>({0, 0, 1, 4, 40, vocab_size_});
    params.top_p = Of<float>({1.0f, 1.0f, 0.95f, 0.5f, 0.01f});
    params.min_p = Of<float>({0.0f, 0.0f, 0.02f, 0.4f});
    params.seed = random_();
    params.stream = Below(4);
    params.position = Below(1000);
    params.repetition_penalty = Of<float>({1.0f, 1.0f, 1.3f, 0.7f});
    params.seen_token_ids = Ids();
    params.presence_penalty = Of<float>({0.0f, 0.5f, -1.0f});
    params.frequency_penalty = Of<float>({0.0f, 0.25f});
    params.generated_token_ids = Ids();
    for (size_t i = 0; i < params.generated_token_ids.size(); ++i) {
      params.generated_counts.push_back(Below(3));
    }
    params.bias_token_ids = Ids();
    for (size_t i = 0; i < params.bias_token_ids.size(); ++i) {
      params.bias_values.push_back(static_cast<float>(Below(9)) - 4.0f);
    }
    if (Below(3) == 0) params.forbidden_token_ids = Ids();
    if (Below(4) == 0) {
      params.allowed_tokens.emplace((vocab_size_ + 31) / 32);
      for (uint32_t& word : *params.allowed_tokens) word = random_() & random_();
    }
    choice.sample = params;
    return choice;
  }

 private:
  uint32_t Below(uint32_t end) { return random_() % end; }
  template <typename T>
  T Of(const std::vector<T>& values) {
    return values[Below(static_cast<uint32_t>(values.size()))];
  }
  std::vector<uint32_t> Ids() {
    std::vector<uint32_t> ids(Of<size_t>({0, 0, 1, 5, 30}));
    for (uint32_t& id : ids) id = Below(vocab_size_);
    return ids;
  }

  std::mt19937 random_;
  const uint32_t vocab_size_;
};

TEST_CASE("A GPU chooses what a CPU chooses, whatever is asked of it") {
  constexpr int64_t kRows = 20;
  const Devices devices;
  for (const int64_t vocab_size : {1, 3, 37, 640, 1531}) {
    for (uint32_t seed = 1; seed <= 2; ++seed) {
      CAPTURE(vocab_size);
      CAPTURE(seed);
      Step step = {vocab_size, {}, {}};
      Mixer mixer(seed, vocab_size);
      for (int64_t row = 0; row < kRows; ++row) step.choices.push_back(mixer.Choice());
      step.logits = RandomFloats(kRows * vocab_size, seed, 8.0f);
      if (seed % 2 == 0) {
        // Many are equal.
        for (float& logit : step.logits) logit = std::nearbyint(logit);
      }

      CheckAsOnCpu(devices, step);
    }
  }
}

TEST_CASE("A GPU chooses what a CPU chooses among more candidates than it keeps apart") {
  constexpr int64_t kVocabSize = 9000;
  const Devices devices;
  std::vector<TokenChoice> choices;
  for (const float top_p : {1.0f, 0.97f}) {
    for (const uint32_t top_k : {0u, 7000u}) {
      SampleParams params = Params(kVocabSize);
      params.temperature = 1.0f;
      params.top_p = top_p;
      params.top_k = top_k;
      params.seed = 5 + top_k;
      choices.push_back({.sample = params, .num_logprobs = 5});
    }
  }

  CheckAsOnCpu(devices, StepOf(RandomFloats(kVocabSize, 1, 0.5f), choices));
  CheckAsOnCpu(devices, StepOf(std::vector<float>(kVocabSize, 1.5f), choices));
}

TEST_CASE("A GPU draws a token as often as a CPU does") {
  constexpr int64_t kVocabSize = 5;
  const Devices devices;
  std::vector<TokenChoice> choices;
  for (uint32_t position = 0; position < 80; ++position) {
    SampleParams params = Params(kVocabSize);
    params.temperature = 0.8f;
    params.top_p = position % 2 == 0 ? 1.0f : 0.9f;
    params.position = position;
    choices.push_back({.sample = params});
  }

  CheckAsOnCpu(devices, StepOf({0.3f, 1.0f, -0.5f, 1.0f, 0.1f}, choices));
}

TEST_CASE("A GPU refuses a row alone, for the reason for which a CPU refuses it") {
  constexpr int64_t kVocabSize = 40;
  const Devices devices;
  std::vector<TokenChoice> choices;
  const auto add = [&](const auto& change) {
    SampleParams params = Params(kVocabSize);
    change(params);
    choices.push_back({.sample = params});
    choices.push_back({.sample = params, .num_logprobs = 2});
  };
  add([](SampleParams&) {});
  add([](SampleParams& p) { p.temperature = 1.0f; });
  add([](SampleParams& p) { p.temperature = -1.0f; });
  add([](SampleParams& p) { p.vocab_limit = 41; });
  add([](SampleParams& p) { p.allowed_tokens = std::vector<uint32_t>(2, 0u); });
  add([](SampleParams& p) { p.forbidden_token_ids = {1, 50}; });
  add([](SampleParams& p) {
    // The mask wins: what it allows is all forbidden.
    p.allowed_tokens = std::vector<uint32_t>{6u, 0u};
    p.forbidden_token_ids = {1, 2};
  });
  add([](SampleParams& p) {
    for (uint32_t id = 0; id < 40; ++id) p.forbidden_token_ids.push_back(id);
  });
  choices.push_back({.target_token = 3, .num_logprobs = 1});
  choices.push_back({.target_token = 3});

  for (const std::vector<float>& special :
       {std::vector<float>{}, {kNan}, {kInfinity}, {-kInfinity}, {kNan, kNan, kNan, kNan}}) {
    CAPTURE(special.size());
    std::vector<float> logits = RandomFloats(kVocabSize, 3, 4.0f);
    for (size_t i = 0; i < special.size(); ++i) logits[i] = special[i];
    CheckAsOnCpu(devices, StepOf(logits, choices));
  }
  CheckAsOnCpu(devices, StepOf(std::vector<float>(kVocabSize, kNan), choices));
  CheckAsOnCpu(devices, StepOf(std::vector<float>(kVocabSize, -kInfinity), choices));
}

TEST_CASE("A GPU chooses the same token in any row of any step") {
  constexpr int64_t kVocabSize = 301;
  const Devices devices;
  Mixer mixer(9, kVocabSize);
  const TokenChoice choice = mixer.Choice();
  const std::vector<float> logits = RandomFloats(kVocabSize, 4, 5.0f);
  Step alone = StepOf(logits, {choice});
  Step together = StepOf(logits, {mixer.Choice(), mixer.Choice(), choice});
  Twin alone_twin(devices, alone.logits);
  Twin together_twin(devices, together.logits);

  const ChosenToken expected = alone.RunOn(devices.gpu, alone_twin)[0];
  const ChosenToken got = together.RunOn(devices.gpu, together_twin)[2];

  CheckSame(got, expected);
  CHECK((got.logprob == expected.logprob || std::isnan(got.logprob)));
}

}  // namespace
}  // namespace autoglm::cuda
