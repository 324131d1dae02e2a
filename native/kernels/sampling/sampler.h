#ifndef AUTOGLM_KERNELS_SAMPLING_SAMPLER_H_
#define AUTOGLM_KERNELS_SAMPLING_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"
#include "kernels/sampling/token_choice.h"

namespace autoglm {

struct Candidate {
  uint32_t token_id;
  float weight;  // probability up to a common factor
};

// Chooses or scores the token of one output. `candidates` is scratch memory that grows as the
// filters need and is used again.
class Sampler {
 public:
  explicit Sampler(const kernels::LogitKernels& kernels) : kernels_(kernels) {}

  // Chooses or scores a token from logits [vocab_size], which are overwritten. Refuses logits that
  // are not finite, and parameters that leave no token.
  Status Run(std::span<float> logits, const TokenChoice& output, std::vector<Candidate>& candidates,
             ChosenToken& result) const;

 private:
  Status Choose(std::span<float> logits, const SampleParams& params,
                std::vector<Candidate>& candidates, uint32_t& token_id) const;

  const kernels::LogitKernels& kernels_;
};

// Applies mask, allowed and forbidden ids, bias and penalties to the logits, in this order.
void AdjustLogits(std::span<float> logits, const SampleParams& params);

// Returns why no token can be chosen from logits that are not finite, or of which all are forbidden.
Status LogitsNotFinite();
Status EveryTokenForbidden();

// Returns the mask of what may be chosen: the tokens that `allowed_tokens` allows, less the forbidden
// ones unless that leaves none below vocab_limit.
std::vector<uint32_t> AllowedTokens(const SampleParams& params, size_t vocab_size);

// Returns a number in [0, 1) that depends on (seed, stream, position) alone.
double RandomUnit(const SampleParams& params);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_SAMPLER_H_
