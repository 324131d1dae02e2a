#ifndef AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_
#define AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"

namespace autoglm {

inline constexpr int64_t kTokensPerMaskWord = 32;

// Parameters of choosing a token; the fields are those of SampleParams in native/step-plan.ts.
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

// Output of one row of logits: a token chosen with `sample`, or the log-probability of
// `target_token`.
struct TokenChoice {
  std::optional<SampleParams> sample = std::nullopt;  // none: score target_token
  uint32_t target_token = 0;
  int32_t num_logprobs = -1;  // -1: none requested
};

struct TokenLogprob {
  uint32_t token_id;
  float logprob;
};

struct ChosenToken {
  // Reason why there is no token, if there is none: parameters are out of range or leave nothing to
  // choose (kInvalidRequest), or logits are not finite (kEngineFailed). The other rows are valid.
  Status status;
  uint32_t token_id = 0;
  float logprob = 0.0f;           // NaN if not requested
  uint32_t rank = 0;              // 0 if not requested
  std::vector<TokenLogprob> top;  // best first
};

// Refuses numbers out of range and ids outside the vocabulary. They come from one request, so the
// refusal is that of a row, not of the step.
Status CheckSampleParams(const SampleParams& params, int64_t vocab_size);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_TOKEN_CHOICE_H_
