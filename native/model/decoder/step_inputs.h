#ifndef AUTOGLM_MODEL_STEP_INPUTS_H_
#define AUTOGLM_MODEL_STEP_INPUTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/ops.h"
#include "model/decoder/decoder_shard.h"
#include "model/decoder/rope_table.h"
#include "model/decoder/step_plan.h"

namespace autoglm {

// An array on the device that each step overwrites. It grows to the largest step.
class StepArray {
 public:
  Status Write(const Device& device, std::span<const int32_t> values);
  const int32_t* data() const { return memory_.as<const int32_t>(); }

 private:
  DeviceBuffer memory_;
};

// The arrays of a step plan on the device, as the layers read them.
class StepInputs {
 public:
  // Allocates memory for plans of at most max_num_tokens tokens.
  Status Allocate(const Device& device, const RopeTable& rope, int64_t max_num_tokens);
  // Writes a plan for a rank: token ids become rows of its embedding table.
  Status Write(const Device& device, const RopeTable& rope, const DecoderShard& shard,
               const StepPlan& plan);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_sequences() const { return num_sequences_; }
  int64_t max_blocks_per_sequence() const { return max_blocks_per_sequence_; }
  const int32_t* token_ids() const { return token_ids_.data(); }
  const int32_t* slots() const { return slots_.data(); }
  const int32_t* query_starts() const { return query_starts_.data(); }
  const int32_t* context_lens() const { return context_lens_.data(); }
  const int32_t* block_tables() const { return block_tables_.data(); }
  const float* cos() const { return angles_.as<const float>(); }
  const float* sin() const { return cos() + num_angles_; }

 private:
  int64_t num_tokens_ = 0;
  int64_t num_sequences_ = 0;
  int64_t max_blocks_per_sequence_ = 0;
  int64_t num_angles_ = 0;  // num_tokens * num_pairs
  StepArray token_ids_;
  StepArray slots_;
  StepArray query_starts_;
  StepArray context_lens_;
  StepArray block_tables_;
  // Rows of the embedding table, that of token 0 for tokens that media rows replace.
  std::vector<int32_t> embedded_ids_;
  std::vector<float> host_angles_;     // [cos, sin][num_tokens, num_pairs]
  DeviceBuffer angles_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_INPUTS_H_
