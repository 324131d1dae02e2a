#include "kernels/sampling/token_choice.h"

#include <cmath>
#include <string>

#include "base/array_checks.h"

namespace autoglm {
namespace {

Status CheckNumbers(const SampleParams& params) {
  const auto refuse = [](const char* name, float value, const char* expected) {
    return InvalidRequest(std::string("step plan: ") + name + " is " + std::to_string(value) +
                          ", expected " + expected);
  };
  if (!(params.temperature >= 0.0f) || std::isinf(params.temperature)) {
    return refuse("temperature", params.temperature, "a number from 0");
  }
  if (!(params.top_p > 0.0f && params.top_p <= 1.0f)) {
    return refuse("topP", params.top_p, "a number above 0, at most 1");
  }
  if (!(params.min_p >= 0.0f && params.min_p <= 1.0f)) {
    return refuse("minP", params.min_p, "a number in 0..1");
  }
  if (!(params.repetition_penalty > 0.0f) || std::isinf(params.repetition_penalty)) {
    return refuse("repetitionPenalty", params.repetition_penalty, "a number above 0");
  }
  if (!std::isfinite(params.presence_penalty)) {
    return refuse("presencePenalty", params.presence_penalty, "a finite number");
  }
  if (!std::isfinite(params.frequency_penalty)) {
    return refuse("frequencyPenalty", params.frequency_penalty, "a finite number");
  }
  for (const float value : params.bias_values) {
    if (!std::isfinite(value)) return refuse("biasValues", value, "a finite number");
  }
  return Status();
}

}  // namespace

Status CheckSampleParams(const SampleParams& params, int64_t vocab_size) {
  if (params.vocab_limit == 0 || params.vocab_limit > vocab_size) {
    return InvalidRequest("step plan: vocabLimit is " + std::to_string(params.vocab_limit) +
                          ", expected 1.." + std::to_string(vocab_size));
  }
  for (const Status& status :
       {CheckNumbers(params),
        CheckLength("step plan: generatedCounts", params.generated_counts.size(),
                    static_cast<int64_t>(params.generated_token_ids.size())),
        CheckLength("step plan: biasValues", params.bias_values.size(),
                    static_cast<int64_t>(params.bias_token_ids.size())),
        CheckRange("step plan: seenTokenIds", params.seen_token_ids, vocab_size),
        CheckRange("step plan: generatedTokenIds", params.generated_token_ids, vocab_size),
        CheckRange("step plan: biasTokenIds", params.bias_token_ids, vocab_size),
        CheckRange("step plan: forbiddenTokenIds", params.forbidden_token_ids, vocab_size)}) {
    if (!status.ok()) return status;
  }
  if (!params.allowed_tokens.has_value()) return Status();
  return CheckLength("step plan: allowedTokens", params.allowed_tokens->size(),
                     (vocab_size + kTokensPerMaskWord - 1) / kTokensPerMaskWord);
}

}  // namespace autoglm
