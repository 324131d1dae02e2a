#include "kernels/sampling/logprobs.h"

#include <algorithm>

namespace autoglm {
namespace {

// Inserts into a list that is kept sorted, the likeliest first, the lower id first among equals.
void InsertTop(const TokenLogprob& token, size_t num_top, std::vector<TokenLogprob>& top) {
  const auto place = std::upper_bound(
      top.begin(), top.end(), token,
      [](const TokenLogprob& a, const TokenLogprob& b) { return a.logprob > b.logprob; });
  top.insert(place, token);
  if (top.size() > num_top) top.pop_back();
}

}  // namespace

void ScoreToken(const kernels::LogitKernels& kernels, std::span<const float> logits,
                const ScoreParams& params, ChosenToken& result) {
  const int64_t count = static_cast<int64_t>(logits.size());
  const float log_sum = kernels.log_sum_exp(logits.data(), count);
  const float logit = logits[result.token_id];
  result.logprob = logit - log_sum;
  result.rank = static_cast<uint32_t>(kernels.count_greater(logits.data(), count, logit)) + 1;

  const size_t num_top = static_cast<size_t>(params.num_top);
  if (num_top == 0) return;
  for (uint32_t id = 0; id < params.top_limit; ++id) {
    const float logprob = logits[id] - log_sum;
    if (result.top.size() == num_top && !(logprob > result.top.back().logprob)) continue;
    InsertTop({id, logprob}, num_top, result.top);
  }
}

}  // namespace autoglm
