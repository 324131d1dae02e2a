#include "kernels/cuda/sampling/request.h"

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/sampling/sampler.h"

namespace autoglm::cuda {
namespace {

Status StatusOf(SampleOutcome outcome) {
  switch (outcome) {
    case SampleOutcome::kChosen:
      return Status();
    case SampleOutcome::kAllForbidden:
      return EveryTokenForbidden();
    case SampleOutcome::kNotFinite:
      return LogitsNotFinite();
  }
  return Status();
}

}  // namespace

void SampleRequest::Begin(int64_t vocab_size) {
  vocab_size_ = static_cast<size_t>(vocab_size);
  marks_.assign((vocab_size_ + kTokensPerMaskWord - 1) / kTokensPerMaskWord, 0u);
  rows_.clear();
  words_.clear();
}

void SampleRequest::Add(int64_t row, const TokenChoice& choice) {
  SampleRow added = {};
  added.row = static_cast<int32_t>(row);
  added.target_token = choice.target_token;
  added.num_top = choice.num_logprobs;
  added.mask = kNoMask;
  if (choice.sample.has_value()) AddParams(*choice.sample, added);
  rows_.push_back(added);
}

void SampleRequest::AddParams(const SampleParams& params, SampleRow& added) {
  added.chooses = 1;
  added.limit = params.vocab_limit;
  added.unit = RandomUnit(params);
  added.inverse_temperature = params.temperature == 0.0f ? 0.0f : 1.0f / params.temperature;
  added.min_p = params.min_p;
  added.top_p = params.top_p;
  added.top_k = params.top_k;
  added.repetition_penalty = params.repetition_penalty;
  added.presence_penalty = params.presence_penalty;
  added.frequency_penalty = params.frequency_penalty;
  if (params.allowed_tokens.has_value() || !params.forbidden_token_ids.empty()) {
    added.mask = static_cast<uint32_t>(words_.size());
    const std::vector<uint32_t> mask = AllowedTokens(params, vocab_size_);
    words_.insert(words_.end(), mask.begin(), mask.end());
  }
  added.bias = AddList(params.bias_token_ids);
  for (const float value : params.bias_values) words_.push_back(std::bit_cast<uint32_t>(value));
  if (params.repetition_penalty != 1.0f) added.seen = AddList(params.seen_token_ids);
  added.generated = AddList(params.generated_token_ids);
  words_.insert(words_.end(), params.generated_counts.begin(), params.generated_counts.end());
}

SampleList SampleRequest::AddList(const std::vector<uint32_t>& ids) {
  const SampleList list = {.offset = static_cast<uint32_t>(words_.size()),
                           .count = static_cast<uint32_t>(ids.size()),
                           .has_duplicates = HasDuplicates(ids) ? 1u : 0u};
  words_.insert(words_.end(), ids.begin(), ids.end());
  return list;
}

bool SampleRequest::HasDuplicates(const std::vector<uint32_t>& ids) {
  bool found = false;
  for (const uint32_t id : ids) {
    const uint32_t bit = 1u << (id % kTokensPerMaskWord);
    uint32_t& word = marks_[id / kTokensPerMaskWord];
    found = found || (word & bit) != 0;
    word |= bit;
  }
  for (const uint32_t id : ids) marks_[id / kTokensPerMaskWord] = 0;
  return found;
}

ChosenToken UnchosenToken(const TokenChoice& choice, int64_t vocab_size) {
  return {.status = choice.sample.has_value() ? CheckSampleParams(*choice.sample, vocab_size)
                                              : Status(),
          .token_id = choice.target_token,
          .logprob = std::numeric_limits<float>::quiet_NaN(),
          .rank = 0,
          .top = {}};
}

void TakeResult(const TokenChoice& choice, const SampleResult& result, ChosenToken& chosen) {
  chosen.status = StatusOf(result.outcome);
  chosen.token_id = result.token_id;
  if (!chosen.status.ok() || choice.num_logprobs < 0) return;
  chosen.logprob = result.logprob;
  chosen.rank = result.rank;
  for (uint32_t i = 0; i < result.num_top; ++i) {
    chosen.top.push_back({result.top_ids[i], result.top_logprobs[i]});
  }
  if (!std::isfinite(chosen.logprob)) chosen.status = LogitsNotFinite();
}

}  // namespace autoglm::cuda
