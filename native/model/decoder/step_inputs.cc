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

Status StepInputs::Allocate(const Device& device, const RopeTable& rope, int64_t max_num_tokens) {
  const size_t num_values = static_cast<size_t>(2 * max_num_tokens * rope.num_pairs());
  Result<DeviceBuffer> angles = device.ops->allocate(*device.context, num_values * sizeof(float));
  if (!angles.ok()) return angles.status();
  angles_ = std::move(angles.value());
  host_angles_.resize(num_values);
  return Status();
}

Status StepInputs::Write(const Device& device, const RopeTable& rope, const DecoderShard& shard,
                         const StepPlan& plan) {
  num_tokens_ = plan.num_tokens();
  num_sequences_ = plan.num_sequences();
  max_blocks_per_sequence_ = plan.max_blocks_per_sequence;
  num_angles_ = num_tokens_ * rope.num_pairs();
  embedded_ids_ = plan.token_ids;
  for (const MediaRows& media : plan.media_rows) {
    std::fill_n(embedded_ids_.begin() + media.first_token, media.num_rows, 0);
  }
  for (int32_t& id : embedded_ids_) id = shard.TableRow(id);
  for (const Status& status :
       {token_ids_.Write(device, embedded_ids_), slots_.Write(device, plan.slots),
        query_starts_.Write(device, plan.query_starts),
        context_lens_.Write(device, plan.context_lens),
        block_tables_.Write(device, plan.block_tables)}) {
    if (!status.ok()) return status;
  }
  rope.Lookup(plan.positions, host_angles_.data(), host_angles_.data() + num_angles_);
  device.ops->copy_in(
      *device.context,
      {host_angles_.data(), static_cast<size_t>(2 * num_angles_) * sizeof(float), angles_.data()});
  return Status();
}

}  // namespace autoglm
