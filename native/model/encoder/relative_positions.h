#ifndef AUTOGLM_MODEL_RELATIVE_POSITIONS_H_
#define AUTOGLM_MODEL_RELATIVE_POSITIONS_H_

#include <cstdint>
#include <vector>

namespace autoglm {

// Returns the sinusoids of the distances num_frames - 1 down to 1 - num_frames (query minus key), a
// sine and a cosine beside each other for every frequency: [2 * num_frames - 1, width], row-major.
// https://arxiv.org/abs/1901.02860, appendix B.
std::vector<float> RelativeSinusoids(int64_t num_frames, int64_t width);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_RELATIVE_POSITIONS_H_
