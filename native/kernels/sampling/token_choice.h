#ifndef AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_
#define AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"

namespace autoglm {

inline constexpr int64_t kTokensPerMaskWord = 32;

// How to choose a token; see SampleParams in native/step-plan.ts, which these fields mirror.
struct SampleParams {
  float temperature = 0.0f;  // 0: greedy
  uint32_t top_k = 0;        // 0: all
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t position = 0;
  uint32_t vocab_limit = 0;
  std::vector<uint32_t> seen_token_ids;
  std::vector<uint32_t> generated_token_ids;
  std::vector<uint32_t> generated_counts;  // as many as generated_token_ids
  std::vector<uint32_t> bias_token_ids;
  std::vector<float> bias_values;  // as many as bias_token_ids
  std::vector<uint32_t> forbidden_token_ids;
  // [ceil(vocab_size / 32)]: token i is allowed if bit i % 32 of word i / 32 is set. None: no mask.
  std::optional<std::vector<uint32_t>> allowed_tokens;
};

// What is wanted of one row of logits: a token chosen with `sample`, or the log-probability of
// `target_token`.
struct TokenChoice {
  std::optional<SampleParams> sample = std::nullopt;  // none: score target_token
  uint32_t target_token = 0;
  int32_t num_logprobs = -1;  // -1: none asked for
};

struct TokenLogprob {
  uint32_t token_id;
  float logprob;
};

struct ChosenToken {
  // Why there is no token, if so: parameters out of range or that leave nothing to choose
  // (kInvalidRequest), logits that are not finite (kEngineFailed). The other rows stand.
  Status status;
  uint32_t token_id = 0;
  float logprob = 0.0f;           // NaN where not asked for
  uint32_t rank = 0;              // 0 where not asked for
  std::vector<TokenLogprob> top;  // best first
};

// Refuses numbers out of range and ids outside the vocabulary. A request brings them, so a refusal
// is the row's, not the step's.
Status CheckSampleParams(const SampleParams& params, int64_t vocab_size);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_
