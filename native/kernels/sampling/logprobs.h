#ifndef AUTOGLM_KERNELS_SAMPLING_LOGPROBS_H_
#define AUTOGLM_KERNELS_SAMPLING_LOGPROBS_H_

#include <cstdint>
#include <span>

#include "kernels/kernels.h"
#include "kernels/sampling/token_choice.h"

namespace autoglm {

struct ScoreParams {
  int32_t num_top;     // number of alternatives
  uint32_t top_limit;  // ids from it on are no alternatives
};

// Sets log-probability and rank of result.token_id, and the likeliest alternatives, from raw
// logits.
void ScoreToken(const kernels::LogitKernels& kernels, std::span<const float> logits,
                const ScoreParams& params, ChosenToken& result);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_LOGPROBS_H_
