#include "model/decoder/step_plan.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "base/array_checks.h"

namespace autoglm {
namespace {

std::string Text(int64_t value) { return std::to_string(value); }

Status CheckLengths(const StepPlan& plan, const StepLimits& limits) {
  const int64_t num_tokens = plan.num_tokens();
  const int64_t num_sequences = plan.num_sequences();
  if (num_tokens == 0 || num_tokens > limits.max_num_tokens) {
    return InvalidRequest("step plan: " + Text(num_tokens) + " tokens, expected 1.." +
                          Text(limits.max_num_tokens));
  }
  if (plan.max_blocks_per_sequence < 0 ||
      plan.max_blocks_per_sequence > static_cast<int64_t>(plan.block_tables.size())) {
    return InvalidRequest("step plan: maxBlocksPerSequence is " +
                          Text(plan.max_blocks_per_sequence) + ", blockTables has " +
                          Text(static_cast<int64_t>(plan.block_tables.size())) + " entries");
  }
  for (const Status& status :
       {CheckLength("step plan: positions", plan.positions.size(), 3 * num_tokens),
        CheckLength("step plan: slotMapping", plan.slots.size(), num_tokens),
        CheckLength("step plan: queryStarts", plan.query_starts.size(), num_sequences + 1),
        CheckLength("step plan: blockTables", plan.block_tables.size(),
                    num_sequences * plan.max_blocks_per_sequence),
        CheckLength("step plan: outputs", plan.outputs.size(),
                    static_cast<int64_t>(plan.output_tokens.size())),
        CheckRange("step plan: positions", plan.positions, limits.max_positions)}) {
    if (!status.ok()) return status;
  }
  return Status();
}

// Refuses a sequence whose tokens are not at the end of its context, in blocks that exist.
Status CheckSequence(const StepPlan& plan, const StepLimits& limits, int64_t sequence) {
  const std::string where = "step plan: sequence " + Text(sequence) + ": ";
  const int64_t begin = plan.query_starts[static_cast<size_t>(sequence)];
  const int64_t end = plan.query_starts[static_cast<size_t>(sequence) + 1];
  const int64_t context = plan.context_lens[static_cast<size_t>(sequence)];
  if (begin < 0 || end <= begin || end > plan.num_tokens()) {
    return InvalidRequest(where + "tokens " + Text(begin) + ".." + Text(end - 1) +
                          " are not a part of the step");
  }
  if (context < end - begin) {
    return InvalidRequest(where + "context of " + Text(context) + " tokens is shorter than its " +
                          Text(end - begin) + " tokens in the step");
  }
  const int64_t num_blocks = (context + limits.block_size - 1) / limits.block_size;
  if (num_blocks > plan.max_blocks_per_sequence) {
    return InvalidRequest(where + "context of " + Text(context) + " tokens needs " +
                          Text(num_blocks) + " blocks, the block table has " +
                          Text(plan.max_blocks_per_sequence));
  }
  const int32_t* table = plan.block_tables.data() + sequence * plan.max_blocks_per_sequence;
  for (int64_t i = 0; i < num_blocks; ++i) {
    if (table[i] >= 0 && table[i] < limits.num_blocks) continue;
    return InvalidRequest(where + "block " + Text(table[i]) + " does not exist, there are " +
                          Text(limits.num_blocks));
  }
  for (int64_t token = begin; token < end; ++token) {
    const int64_t position = context - end + token;
    const int64_t slot =
        table[position / limits.block_size] * limits.block_size + position % limits.block_size;
    if (plan.slots[static_cast<size_t>(token)] == slot) continue;
    return InvalidRequest(where + "token " + Text(token) + " has slot " +
                          Text(plan.slots[static_cast<size_t>(token)]) + ", its block table says " +
                          Text(slot));
  }
  return Status();
}

Status CheckSequences(const StepPlan& plan, const StepLimits& limits) {
  if (plan.query_starts.front() != 0 || plan.query_starts.back() != plan.num_tokens()) {
    return InvalidRequest("step plan: queryStarts must go from 0 to the number of tokens");
  }
  for (int64_t sequence = 0; sequence < plan.num_sequences(); ++sequence) {
    const Status status = CheckSequence(plan, limits, sequence);
    if (!status.ok()) return status;
  }
  return Status();
}

// Refuses rows of another size than their number says, or outside the row pool.
Status CheckRowBytes(const MediaRows& media, const StepLimits& limits) {
  const size_t expected = static_cast<size_t>(media.num_rows * limits.hidden_size) *
                          static_cast<size_t>(DtypeBytes(media.dtype));
  if (!media.pool_offset.has_value()) {
    if (media.bytes == expected) return Status();
    return InvalidRequest("step plan: media rows of " + Text(static_cast<int64_t>(media.bytes)) +
                          " bytes, expected " + Text(static_cast<int64_t>(expected)));
  }
  const size_t offset = *media.pool_offset;
  const size_t pool = limits.row_pool_bytes;
  const bool is_aligned = media.dtype == Dtype::kFloat32 && offset % sizeof(float) == 0;
  if (is_aligned && IsInside(offset, expected, pool)) return Status();
  return InvalidRequest("step plan: media rows of " + Text(static_cast<int64_t>(expected)) +
                        " bytes at byte " + Text(static_cast<int64_t>(offset)) +
                        " are no float32 rows of the row pool of " +
                        Text(static_cast<int64_t>(pool)));
}

// Refuses media rows outside the step, and a token id outside the vocabulary unless a media row
// replaces the token.
Status CheckTokens(const StepPlan& plan, const StepLimits& limits) {
  std::vector<bool> is_media(plan.token_ids.size(), false);
  for (const MediaRows& media : plan.media_rows) {
    if (media.first_token < 0 || media.num_rows < 0 ||
        media.num_rows > plan.num_tokens() - media.first_token) {
      return InvalidRequest("step plan: media rows " + Text(media.first_token) + ".." +
                            Text(media.first_token + media.num_rows - 1) +
                            " are not a part of the step");
    }
    const Status sized = CheckRowBytes(media, limits);
    if (!sized.ok()) return sized;
    for (int64_t i = 0; i < media.num_rows; ++i) {
      is_media[static_cast<size_t>(media.first_token + i)] = true;
    }
  }
  for (size_t i = 0; i < plan.token_ids.size(); ++i) {
    if (is_media[i] || (plan.token_ids[i] >= 0 && plan.token_ids[i] < limits.vocab_size)) continue;
    return InvalidRequest("step plan: tokenIds[" + Text(static_cast<int64_t>(i)) +
                          "] is not in the vocabulary of " + Text(limits.vocab_size));
  }
  return Status();
}

Status CheckOutput(const StepPlan& plan, const StepLimits& limits, size_t index) {
  const int32_t token = plan.output_tokens[index];
  const TokenChoice& output = plan.outputs[index];
  if (token < 0 || token >= plan.num_tokens()) {
    return InvalidRequest("step plan: output of token " + Text(token) + ", the step has " +
                          Text(plan.num_tokens()));
  }
  if (output.num_logprobs < -1 || output.num_logprobs > kMaxLogprobs) {
    return InvalidRequest("step plan: numLogprobs is " + Text(output.num_logprobs) +
                          ", expected -1.." + Text(kMaxLogprobs));
  }
  if (output.sample.has_value()) return Status();
  if (output.target_token < limits.vocab_size) return Status();
  return InvalidRequest("step plan: targetToken " + Text(output.target_token) +
                        " is not in the vocabulary of " + Text(limits.vocab_size));
}

Status CheckPooledRows(const PooledRows& pooled, int64_t num_tokens, const StepLimits& limits) {
  const int64_t first = pooled.first_token;
  if (first < 0 || pooled.num_rows <= 0 || pooled.num_rows > num_tokens - first) {
    return InvalidRequest("step plan: pooled rows " + Text(first) + ".." +
                          Text(first + pooled.num_rows - 1) + " are not a part of the step");
  }
  if (pooled.sum.empty()) return Status();
  return CheckLength("step plan: sum of pooled rows", pooled.sum.size(), limits.hidden_size);
}

// Counts a token as generated, for the penalties that are in use.
void CountGenerated(uint32_t token_id, SampleParams& params) {
  if (params.repetition_penalty != 1.0f) {
    std::vector<uint32_t>& seen = params.seen_token_ids;
    if (std::find(seen.begin(), seen.end(), token_id) == seen.end()) seen.push_back(token_id);
  }
  if (params.presence_penalty == 0.0f && params.frequency_penalty == 0.0f) return;
  std::vector<uint32_t>& ids = params.generated_token_ids;
  const std::ptrdiff_t place = std::find(ids.begin(), ids.end(), token_id) - ids.begin();
  if (place < std::ssize(params.generated_counts)) {
    ++params.generated_counts[static_cast<size_t>(place)];
  } else {
    ids.push_back(token_id);
    params.generated_counts.push_back(1);
  }
}

}  // namespace

Status TakeChosenTokens(std::span<const uint32_t> chosen, StepPlan& plan) {
  if (plan.previous_outputs.empty()) return Status();
  const Status same = CheckLength("step plan: previousOutputs", plan.previous_outputs.size(),
                                  plan.num_tokens());
  if (!same.ok()) return same;
  for (size_t token = 0; token < plan.token_ids.size(); ++token) {
    const int32_t output = plan.previous_outputs[token];
    if (output < 0) continue;
    if (output >= std::ssize(chosen)) {
      return InvalidRequest("step plan: token " + Text(static_cast<int64_t>(token)) +
                            " is that of output " + Text(output) + " of the step before, which " +
                            (chosen.empty() ? "brought none"
                                            : "brought " + Text(std::ssize(chosen))));
    }
    plan.token_ids[token] = static_cast<int32_t>(chosen[static_cast<size_t>(output)]);
  }
  for (size_t i = 0; i < std::min(plan.outputs.size(), plan.output_tokens.size()); ++i) {
    const int32_t token = plan.output_tokens[i];
    if (token < 0 || token >= plan.num_tokens() || !plan.outputs[i].sample.has_value()) continue;
    if (plan.previous_outputs[static_cast<size_t>(token)] < 0) continue;
    CountGenerated(static_cast<uint32_t>(plan.token_ids[static_cast<size_t>(token)]),
                   *plan.outputs[i].sample);
  }
  return Status();
}

Status CheckStepPlan(const StepPlan& plan, const StepLimits& limits) {
  for (const auto check : {CheckLengths, CheckSequences, CheckTokens}) {
    const Status status = check(plan, limits);
    if (!status.ok()) return status;
  }
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const Status status = CheckOutput(plan, limits, i);
    if (!status.ok()) return status;
  }
  for (const PooledRows& pooled : plan.pooled_rows) {
    const Status status = CheckPooledRows(pooled, plan.num_tokens(), limits);
    if (!status.ok()) return status;
  }
  return Status();
}

}  // namespace autoglm
