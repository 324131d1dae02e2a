#ifndef AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_
#define AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/sampling/sampler.h"

namespace autoglm {

struct FilterParams {
  float temperature;  // above 0
  float min_p;        // 0: off
  uint32_t top_k;     // 0: off
  float top_p;        // 1: off
};

// Fills `candidates` with the tokens that pass temperature, min-p, top-k and top-p, applied in this
// order; weights are probabilities up to a common factor, whose sum is returned. `candidates` is
// never empty, since the likeliest token always passes.
double FilterCandidates(std::span<const float> logits, float max_logit, const FilterParams& params,
                        std::vector<Candidate>& candidates);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_
