#include "model/decoder/decoder_steps.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "doctest/doctest.h"
#include "kernels/open_device.h"

namespace autoglm {

DecoderOptions SmallOptions() {
  DecoderConfig shape;
  shape.model_type = "glm4";
  shape.hidden_size = 48;
  shape.num_layers = 2;
  shape.num_heads = 6;
  shape.num_kv_heads = 2;
  shape.head_dim = 20;
  shape.num_rope_pairs = 5;
  shape.intermediate_size = 72;
  shape.vocab_size = 101;
  shape.max_position_embeddings = 256;
  DecoderOptions options;
  options.random = shape;
  options.block_size = kBlockSize;
  options.kv_cache_bytes = 1 << 20;
  options.max_num_batched_tokens = 128;
  return options;
}

std::unique_ptr<Decoder> LoadSmall(const DecoderOptions& options) {
  Result<std::unique_ptr<Decoder>> decoder = Decoder::Load(options, OpenDevice);
  REQUIRE_MESSAGE(decoder.ok(), decoder.status().message());
  return std::move(decoder.value());
}

StepPlan PlanOf(const std::vector<Chunk>& chunks) {
  StepPlan plan;
  plan.max_blocks_per_sequence = 16;
  plan.query_starts = {0};
  std::vector<int32_t> positions;
  for (const Chunk& chunk : chunks) {
    for (int32_t i = chunk.begin; i < chunk.end; ++i) {
      plan.token_ids.push_back((*chunk.tokens)[static_cast<size_t>(i)]);
      positions.push_back(i);
      plan.slots.push_back(chunk.first_block * kBlockSize + i);
    }
    plan.query_starts.push_back(static_cast<int32_t>(plan.num_tokens()));
    plan.context_lens.push_back(chunk.end);
    for (int32_t block = 0; block < 16; ++block) {
      plan.block_tables.push_back(chunk.first_block + block);
    }
    TokenChoice output;
    plan.output_tokens.push_back(static_cast<int32_t>(plan.num_tokens()) - 1);
    output.num_logprobs = kMaxLogprobs;
    plan.outputs.push_back(output);
  }
  for (int axis = 0; axis < 3; ++axis) {
    plan.positions.insert(plan.positions.end(), positions.begin(), positions.end());
  }
  return plan;
}

std::vector<TokenLogprob> RunStep(Decoder& decoder, const std::vector<Chunk>& chunks) {
  StepResult result;
  const Status status = decoder.Execute(PlanOf(chunks), result);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return result.outputs.back().top;
}

bool SameBits(const std::vector<TokenLogprob>& a, const std::vector<TokenLogprob>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.token_id == y.token_id &&
                  std::memcmp(&x.logprob, &y.logprob, sizeof(float)) == 0;
         });
}

std::vector<int32_t> Prompt(int32_t length, int32_t seed) {
  std::vector<int32_t> tokens(static_cast<size_t>(length));
  for (int32_t i = 0; i < length; ++i) tokens[static_cast<size_t>(i)] = (seed + 37 * i * i) % 101;
  return tokens;
}

}  // namespace autoglm
