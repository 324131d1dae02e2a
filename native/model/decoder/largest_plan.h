#ifndef AUTOGLM_MODEL_LARGEST_PLAN_H_
#define AUTOGLM_MODEL_LARGEST_PLAN_H_

#include <cstdint>

#include "model/decoder/step_plan.h"

namespace autoglm {

// What bounds the steps of a decoder.
struct LargestStep {
  int64_t num_tokens;
  int64_t num_outputs;    // rows of logits that exist at once
  int64_t num_positions;  // of the table of angles
  int64_t longest;        // tokens of a sequence, for which its row of the block table has room
  int64_t block_size;
  int64_t vocab_size;
};

// Plans a step that needs as much memory as any: as many prompts as outputs, which share the tokens,
// each in blocks of its own from block 0 on, with every kind of parameter that a choice may have.
StepPlan LargestPlan(const LargestStep& step);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_LARGEST_PLAN_H_
