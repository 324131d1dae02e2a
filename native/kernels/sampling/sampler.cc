#include "kernels/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/sampling/logprobs.h"
#include "kernels/sampling/philox.h"
#include "kernels/sampling/sampling_filters.h"

namespace autoglm {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

bool IsAllowed(const std::vector<uint32_t>& mask, uint32_t token_id) {
  return (mask[token_id / kTokensPerMaskWord] >> (token_id % kTokensPerMaskWord) & 1u) != 0;
}

void Forbid(const std::vector<uint32_t>& token_ids, std::vector<uint32_t>& mask) {
  for (const uint32_t token_id : token_ids) {
    mask[token_id / kTokensPerMaskWord] &= ~(1u << (token_id % kTokensPerMaskWord));
  }
}

// Returns true if the forbidden ids cover all of `num_tokens` tokens that the mask allows.
bool ForbidsMask(const std::vector<uint32_t>& mask, const std::vector<uint32_t>& forbidden,
                 size_t num_tokens) {
  std::vector<uint32_t> left = mask;
  Forbid(forbidden, left);
  for (uint32_t token_id = 0; token_id < num_tokens; ++token_id) {
    if (IsAllowed(left, token_id)) return false;
  }
  return true;
}

// Returns true if the forbidden ids cover all tokens that the mask allows. The mask wins then,
// since every step must give a token.
bool LeavesNothing(const SampleParams& params, size_t num_tokens) {
  const auto& mask = params.allowed_tokens;
  return mask.has_value() && !params.forbidden_token_ids.empty() &&
         ForbidsMask(*mask, params.forbidden_token_ids, num_tokens);
}

void KeepMasked(std::span<float> logits, const std::vector<uint32_t>& mask) {
  for (uint32_t token_id = 0; token_id < logits.size(); ++token_id) {
    if (!IsAllowed(mask, token_id)) logits[token_id] = kNegativeInfinity;
  }
}

// Returns the reason why no token can be chosen from adjusted logits without a finite maximum.
Status NothingToChoose(std::span<const float> logits, const SampleParams& params) {
  const bool all_forbidden =
      (!params.forbidden_token_ids.empty() || params.allowed_tokens.has_value()) &&
      std::all_of(logits.begin(), logits.end(),
                  [](float logit) { return logit == kNegativeInfinity; });
  return all_forbidden ? EveryTokenForbidden() : LogitsNotFinite();
}

// Returns the place at `unit`, in [0, 1), of the cumulative distribution of weights that sum to
// `total`, as rounded, and are not all zero.
template <typename Weighted, typename WeightOf>
size_t Draw(std::span<const Weighted> all, const WeightOf& weight_of, double total, double unit) {
  const double target = unit * total;
  double sum = 0.0;
  size_t last = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const float weight = weight_of(all[i]);
    if (weight > 0.0f) last = i;
    sum += weight;
    if (sum > target) return i;
  }
  // The target is at the end of the distribution because of rounding.
  return last;
}

// Returns a token drawn from all that the filters leave of weights [vocab_limit].
uint32_t DrawToken(std::span<const float> weights, double total, const SampleParams& params,
                   std::vector<Candidate>& candidates) {
  const double unit = RandomUnit(params);
  if (!HasFilters(params)) {
    const auto itself = [](float weight) { return weight; };
    return static_cast<uint32_t>(Draw(weights, itself, total, unit));
  }
  const double total_left = FilterCandidates(weights, params, candidates);
  const auto weight_of = [](const Candidate& candidate) { return candidate.weight; };
  const std::span<const Candidate> left = candidates;
  return left[Draw(left, weight_of, total_left, unit)].token_id;
}

}  // namespace

Status LogitsNotFinite() {
  return EngineFailed("the logits of this sequence are not finite, so no token can be chosen");
}

Status EveryTokenForbidden() {
  return InvalidRequest(
      "the sampling parameters forbid every token, or the form of the answer allows none: its text "
      "can be read in too many ways");
}

std::vector<uint32_t> AllowedTokens(const SampleParams& params, size_t vocab_size) {
  const size_t num_words = (vocab_size + kTokensPerMaskWord - 1) / kTokensPerMaskWord;
  std::vector<uint32_t> mask =
      params.allowed_tokens.value_or(std::vector<uint32_t>(num_words, ~uint32_t{0}));
  if (!LeavesNothing(params, params.vocab_limit)) Forbid(params.forbidden_token_ids, mask);
  return mask;
}

void AdjustLogits(std::span<float> logits, const SampleParams& params) {
  if (params.allowed_tokens.has_value()) KeepMasked(logits, *params.allowed_tokens);
  if (!LeavesNothing(params, logits.size())) {
    for (const uint32_t token_id : params.forbidden_token_ids) {
      logits[token_id] = kNegativeInfinity;
    }
  }
  for (size_t i = 0; i < params.bias_token_ids.size(); ++i) {
    logits[params.bias_token_ids[i]] += params.bias_values[i];
  }
  if (params.repetition_penalty != 1.0f) {
    for (const uint32_t token_id : params.seen_token_ids) {
      float& logit = logits[token_id];
      logit = logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
  }
  for (size_t i = 0; i < params.generated_token_ids.size(); ++i) {
    const float count = static_cast<float>(params.generated_counts[i]);
    logits[params.generated_token_ids[i]] -=
        params.frequency_penalty * count + (count > 0.0f ? params.presence_penalty : 0.0f);
  }
}

double RandomUnit(const SampleParams& params) {
  const std::array<uint32_t, 4> bits =
      Philox4x32({params.position, params.stream, 0, 0},
                 {static_cast<uint32_t>(params.seed), static_cast<uint32_t>(params.seed >> 32)});
  const uint64_t mantissa = (uint64_t{bits[0]} << 32 | bits[1]) >> 11;
  return static_cast<double>(mantissa) * 0x1p-53;
}

Status Sampler::Choose(std::span<float> logits, const SampleParams& params,
                       std::vector<Candidate>& candidates, uint32_t& token_id) const {
  logits = logits.first(params.vocab_limit);
  AdjustLogits(logits, params);
  const int64_t best = kernels_.argmax(logits.data(), static_cast<int64_t>(logits.size()));
  if (best < 0 || std::isinf(logits[static_cast<size_t>(best)])) {
    return NothingToChoose(logits, params);
  }
  token_id = static_cast<uint32_t>(best);
  if (params.temperature == 0.0f) return Status();

  constexpr float kMax = std::numeric_limits<float>::max();
  const double total = kernels_.weigh(
      logits.data(), static_cast<int64_t>(logits.size()),
      {.max_logit = logits[token_id],
       .inverse_temperature = std::min(1.0f / params.temperature, kMax)});
  token_id = DrawToken(logits, total, params, candidates);
  return Status();
}

Status Sampler::Run(std::span<float> logits, const TokenChoice& output,
                    std::vector<Candidate>& candidates, ChosenToken& result) const {
  result.logprob = std::numeric_limits<float>::quiet_NaN();
  result.rank = 0;
  result.top.clear();
  if (output.num_logprobs < 0 && !output.sample.has_value()) {
    result.token_id = output.target_token;
    return Status();
  }
  if (output.num_logprobs < 0) return Choose(logits, *output.sample, candidates, result.token_id);

  // Log-probabilities are those of the raw logits, which choosing a token overwrites. The rank of
  // the chosen token is computed afterwards, so the raw logits are copied.
  const std::vector<float> raw(logits.begin(), logits.end());
  result.token_id = output.target_token;
  if (output.sample.has_value()) {
    const Status status = Choose(logits, *output.sample, candidates, result.token_id);
    if (!status.ok()) return status;
  }
  const uint32_t limit =
      output.sample.has_value() ? output.sample->vocab_limit : static_cast<uint32_t>(raw.size());
  ScoreToken(kernels_, raw, {.num_top = output.num_logprobs, .top_limit = limit}, result);
  return std::isfinite(result.logprob) ? Status() : LogitsNotFinite();
}

}  // namespace autoglm
