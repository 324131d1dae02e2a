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

// The arrays of a step plan on the device, as the layers read them: side by side in one memory, so that
// a step brings them by one copy. Where each lies there depends on the numbers of tokens, sequences and
// blocks alone.
class StepInputs {
 public:
  // Allocates memory for plans of at most max_num_tokens tokens in one sequence of one block. It grows
  // to the largest plan.
  Status Allocate(const Device& device, const RopeTable& rope, int64_t max_num_tokens);
  // Writes a plan for a rank: token ids become rows of its embedding table.
  Status Write(const Device& device, const RopeTable& rope, const DecoderShard& shard,
               const StepPlan& plan);

  // Where the arrays begin, until they grow.
  const void* memory() const { return memory_.data(); }
  int64_t num_sequences() const { return num_sequences_; }
  int64_t max_blocks_per_sequence() const { return max_blocks_per_sequence_; }
  // [num_tokens]: rows of the embedding table, that of token 0 for tokens that media rows replace.
  const int32_t* token_ids() const { return Integers(places_.token_ids); }
  const int32_t* slots() const { return Integers(places_.slots); }
  const int32_t* query_starts() const { return Integers(places_.query_starts); }
  const int32_t* context_lens() const { return Integers(places_.context_lens); }
  const int32_t* block_tables() const { return Integers(places_.block_tables); }
  const float* cos() const { return memory_.as<const float>() + places_.cos; }  // [num_tokens, num_pairs]
  const float* sin() const { return memory_.as<const float>() + places_.sin; }

 private:
  // First words of the arrays, words of four bytes.
  struct Places {
    size_t token_ids;
    size_t slots;
    size_t query_starts;
    size_t context_lens;
    size_t block_tables;
    size_t cos;
    size_t sin;
    size_t end;
  };
  struct Counts {
    int64_t num_tokens;
    int64_t num_sequences;
    int64_t max_blocks_per_sequence;
    int64_t num_pairs;
  };

  static Places PlacesOf(const Counts& counts);
  // Makes room for so many words on the host and on the device.
  Status Reserve(const Device& device, size_t num_words);
  const int32_t* Integers(size_t place) const { return memory_.as<const int32_t>() + place; }

  int64_t num_sequences_ = 0;
  int64_t max_blocks_per_sequence_ = 0;
  Places places_ = {};
  std::vector<uint32_t> staged_;  // host: the arrays on their way
  DeviceBuffer memory_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_INPUTS_H_
