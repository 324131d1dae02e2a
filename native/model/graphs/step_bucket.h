#ifndef AUTOGLM_MODEL_STEP_BUCKET_H_
#define AUTOGLM_MODEL_STEP_BUCKET_H_

#include <cstdint>
#include <optional>

#include "model/decoder/step_plan.h"

namespace autoglm {

// Shape to which steps are padded in which every sequence has one token, so that all steps of a
// bucket run the same kernels with the same arguments.
struct StepBucket {
  int64_t num_sequences = 0;            // 1, 2, 4, 8 and multiples of 8
  int64_t max_blocks_per_sequence = 0;  // of 256 tokens, 512, 1024 …, at most the longest sequence

  bool operator==(const StepBucket&) const = default;
};

// Most sequences of a bucket. The kernels of larger steps take longer than it takes to launch them.
inline constexpr int64_t kMaxBucketSequences = 256;

struct BucketLimits {
  int64_t max_num_tokens;  // of a step
  int64_t longest;         // tokens of a sequence
  int64_t block_size;
};

// Returns the smallest bucket that holds a plan; none if a sequence has several tokens, if there are
// rows of media, or if no bucket is large enough.
std::optional<StepBucket> FindStepBucket(const StepPlan& plan, const BucketLimits& limits);

// Fills the arrays of `padded` that layers read: those of the plan, then sequences of one token that
// looks at the first token of the first sequence, and is not stored.
void PadStep(const StepPlan& plan, const StepBucket& bucket, StepPlan& padded);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_BUCKET_H_
