#include "model/decoder/step_inputs.h"

#include <algorithm>
#include <utility>

namespace autoglm {

Status StepArray::Write(const Device& device, std::span<const int32_t> values) {
  const size_t bytes = values.size_bytes();
  if (bytes > memory_.bytes()) {
    // Doubling keeps the number of allocations over a process's life small.
    Result<DeviceBuffer> grown =
        device.ops->allocate(*device.context, std::max(bytes, 2 * memory_.bytes()));
    if (!grown.ok()) return grown.status();
    memory_ = std::move(grown.value());
  }
  device.ops->copy_in(*device.context, {values.data(), bytes, memory_.data()});
  return Status();
}

StepInputs::Places StepInputs::PlacesOf(const Counts& counts) {
  constexpr size_t kAlignmentWords = 16;  // 64 bytes
  size_t next = 0;
  const auto take = [&](int64_t count) {
    const size_t place = next;
    next += (static_cast<size_t>(count) + kAlignmentWords - 1) / kAlignmentWords * kAlignmentWords;
    return place;
  };
  const int64_t num_angles = counts.num_tokens * counts.num_pairs;
  Places places = {};
  places.token_ids = take(counts.num_tokens);
  places.slots = take(counts.num_tokens);
  places.query_starts = take(counts.num_sequences + 1);
  places.context_lens = take(counts.num_sequences);
  places.block_tables = take(counts.num_sequences * counts.max_blocks_per_sequence);
  places.cos = take(num_angles);
  places.sin = take(num_angles);
  places.end = next;
  return places;
}

Status StepInputs::Reserve(const Device& device, size_t num_words) {
  if (staged_.size() < num_words) staged_.resize(num_words);
  const size_t bytes = num_words * sizeof(uint32_t);
  if (bytes <= memory_.bytes()) return Status();
  // Doubling keeps the number of allocations over a process's life small.
  Result<DeviceBuffer> grown =
      device.ops->allocate(*device.context, std::max(bytes, 2 * memory_.bytes()));
  if (!grown.ok()) return grown.status();
  memory_ = std::move(grown.value());
  return Status();
}

Status StepInputs::Allocate(const Device& device, const RopeTable& rope, int64_t max_num_tokens) {
  const Places places = PlacesOf({max_num_tokens, 1, 1, rope.num_pairs()});
  return Reserve(device, places.end);
}

Status StepInputs::Write(const Device& device, const RopeTable& rope, const DecoderShard& shard,
                         const StepPlan& plan) {
  const Places places = PlacesOf({plan.num_tokens(), plan.num_sequences(),
                                  plan.max_blocks_per_sequence, rope.num_pairs()});
  const Status reserved = Reserve(device, places.end);
  if (!reserved.ok()) return reserved;
  num_sequences_ = plan.num_sequences();
  max_blocks_per_sequence_ = plan.max_blocks_per_sequence;
  places_ = places;

  int32_t* const integers = reinterpret_cast<int32_t*>(staged_.data());
  const auto put = [&](const std::vector<int32_t>& values, size_t place) {
    std::copy(values.begin(), values.end(), integers + place);
  };
  int32_t* const token_ids = integers + places.token_ids;
  put(plan.token_ids, places.token_ids);
  for (const MediaRows& media : plan.media_rows) {
    std::fill_n(token_ids + media.first_token, media.num_rows, 0);
  }
  for (int64_t i = 0; i < plan.num_tokens(); ++i) token_ids[i] = shard.TableRow(token_ids[i]);
  put(plan.slots, places.slots);
  put(plan.query_starts, places.query_starts);
  put(plan.context_lens, places.context_lens);
  put(plan.block_tables, places.block_tables);
  float* const floats = reinterpret_cast<float*>(staged_.data());
  rope.Lookup(plan.positions, floats + places.cos, floats + places.sin);
  device.ops->copy_in(*device.context,
                      {staged_.data(), places.end * sizeof(uint32_t), memory_.data()});
  return Status();
}

}  // namespace autoglm
