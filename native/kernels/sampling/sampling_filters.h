#ifndef AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_
#define AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/sampling/sampler.h"

namespace autoglm {

// Tells whether min-p, top-k or top-p may leave tokens out.
bool HasFilters(const SampleParams& params);

// Fills `candidates` with the tokens that pass min-p, top-k and top-p, applied in this order, and
// returns the sum of their weights. `weights` are probabilities up to a common factor, the likeliest
// is 1; it always passes, so `candidates` is never empty.
double FilterCandidates(std::span<const float> weights, const SampleParams& params,
                        std::vector<Candidate>& candidates);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_SAMPLING_SAMPLING_FILTERS_H_
