#include "model/decoder/decoder.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "model/decoder/decoder_steps.h"

namespace autoglm {
namespace {

constexpr size_t kHiddenSize = 48;  // of the small decoder

// Runs a step of chunks without tokens to choose and returns the sums of the rows.
std::vector<std::vector<double>> Pool(Decoder& decoder, const std::vector<Chunk>& chunks,
                                      std::vector<PooledRows> rows) {
  StepPlan plan = PlanOf(chunks);
  plan.outputs.clear();
  plan.output_tokens.clear();
  plan.pooled_rows = std::move(rows);
  StepResult result;
  const Status status = decoder.Execute(plan, result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(result.outputs.empty());
  return result.pooled_sums;
}

// Sums up rows of a whole prompt that is computed in chunks of `size` tokens.
std::vector<double> PoolInChunks(Decoder& decoder, const std::vector<int32_t>& tokens,
                                 int32_t size) {
  const int32_t length = static_cast<int32_t>(tokens.size());
  std::vector<double> sum;
  for (int32_t begin = 0; begin < length; begin += size) {
    const int32_t end = std::min(begin + size, length);
    sum = Pool(decoder, {{&tokens, 20, begin, end}},
               {{.first_token = 0, .num_rows = end - begin, .sum = sum}})[0];
  }
  return sum;
}

bool SameBits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

// Returns the hidden states after the final norm: [num_tokens, hidden_size].
std::vector<float> LastHidden(Decoder& decoder, const std::vector<int32_t>& tokens) {
  const int32_t length = static_cast<int32_t>(tokens.size());
  DecoderTrace trace;
  const Status status =
      decoder.Trace({tokens, PlanOf({{&tokens, 0, 0, length}}).positions, {}}, trace);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return trace.hidden.back();
}

// Adds up rows of hidden states, one after another.
std::vector<double> SumOf(std::vector<double> sum, const std::vector<float>& hidden) {
  sum.resize(kHiddenSize);
  for (size_t i = 0; i < hidden.size(); ++i) sum[i % kHiddenSize] += hidden[i];
  return sum;
}

DecoderOptions OptionsOf(Dtype activation, size_t num_ranks) {
  DecoderOptions options = SmallOptions();
  options.random->num_heads = 8;
  options.random->head_dim = 16;
  options.random->num_rope_pairs = 4;
  options.random->intermediate_size = 416;
  options.activation_dtype = activation;
  DeviceId device;
  device.max_threads = 1;
  options.devices.assign(num_ranks, device);
  return options;
}

TEST_CASE("Pooled rows are sums of what a trace shows, on one device and on a group") {
  const std::vector<int32_t> tokens = Prompt(60, 5);
  const std::vector<int32_t> others = Prompt(9, 2);
  // More rows than are normed at once.
  const int64_t num_rows = 60 + 9;
  REQUIRE_GT(num_rows, kMaxLogitRows);
  for (const size_t num_ranks : {size_t{1}, size_t{2}}) {
    for (const Dtype activation : {Dtype::kFloat32, Dtype::kBfloat16}) {
      CAPTURE(num_ranks);
      CAPTURE(DtypeName(activation));
      const std::unique_ptr<Decoder> decoder = LoadSmall(OptionsOf(activation, num_ranks));
      const std::vector<float> hidden = LastHidden(*decoder, tokens);
      const std::vector<float> other_hidden = LastHidden(*decoder, others);
      const std::vector<double> last(hidden.end() - kHiddenSize, hidden.end());

      const std::vector<std::vector<double>> sums =
          Pool(*decoder, {{&others, 0, 0, 9}, {&tokens, 20, 0, 60}},
               {{.first_token = 9, .num_rows = 60, .sum = {}},
                {.first_token = num_rows - 1, .num_rows = 1, .sum = {}},
                {.first_token = 0, .num_rows = num_rows, .sum = {}}});

      REQUIRE_EQ(sums.size(), 3);
      CHECK(SameBits(sums[0], SumOf({}, hidden)));
      CHECK(SameBits(sums[1], last));
      CHECK(SameBits(sums[2], SumOf(SumOf({}, other_hidden), hidden)));
    }
  }
}

TEST_CASE("A sum of rows has the same bits whole and in chunks of any size") {
  const std::vector<int32_t> tokens = Prompt(41, 5);
  for (const Dtype activation : {Dtype::kFloat32, Dtype::kBfloat16}) {
    const std::unique_ptr<Decoder> decoder = LoadSmall(OptionsOf(activation, 1));
    const std::vector<double> whole = PoolInChunks(*decoder, tokens, 41);
    for (const int32_t size : {1, 3, 17}) {
      CAPTURE(size);

      CHECK(SameBits(PoolInChunks(*decoder, tokens, size), whole));
    }
  }
}

TEST_CASE("A step that pools rows chooses the tokens that it chooses without") {
  const std::unique_ptr<Decoder> decoder = LoadSmall(SmallOptions());
  const std::vector<int32_t> tokens = Prompt(23, 1);
  const std::vector<TokenLogprob> alone = RunStep(*decoder, {{&tokens, 0, 0, 23}});
  StepPlan plan = PlanOf({{&tokens, 40, 0, 23}});
  plan.pooled_rows = {{.first_token = 3, .num_rows = 20, .sum = {}}};
  StepResult result;

  REQUIRE(decoder->Execute(plan, result).ok());

  CHECK(SameBits(result.outputs.back().top, alone));
  CHECK_EQ(result.pooled_sums.size(), 1);
}

}  // namespace
}  // namespace autoglm
