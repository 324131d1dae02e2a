#include "model/weights/weight_memory.h"

#include <algorithm>
#include <utility>

#include "model/weights/read_ahead.h"

namespace autoglm {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kChunkBytes = size_t{32} << 20;

}  // namespace

bool WeightEntry::operator==(const WeightEntry& other) const {
  const WeightFormat& a = shape.format;
  const WeightFormat& b = other.shape.format;
  return is_packed == other.is_packed && bytes == other.bytes &&
         shape.columns == other.shape.columns && shape.depth == other.shape.depth &&
         a.type == b.type && a.group_size == b.group_size && a.scale_dtype == b.scale_dtype &&
         a.has_zero_points == b.has_zero_points && a.quantizes_input == b.quantizes_input;
}

WeightEntry PlainEntry(Dtype dtype, int64_t count) {
  return {.shape = {.format = PlainFormat(dtype), .columns = count, .depth = 1},
          .bytes = static_cast<size_t>(count) * DtypeBytes(dtype)};
}

void WeightMemory::Count(const WeightEntry& entry) {
  bytes_ += (entry.bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Result<WeightMemory::Place> PlannedWeights::Take(const WeightEntry& entry) {
  Count(entry);
  ++num_weights_;
  return Place{nullptr, true};
}

AllocatedWeights::AllocatedWeights(const Device& device, const PlannedWeights& plan)
    : device_(device), read_ahead_(std::make_unique<ReadAhead>(plan.ranges())) {
  weights_.reserve(plan.num_weights());
}

AllocatedWeights::~AllocatedWeights() = default;

Result<WeightMemory::Place> AllocatedWeights::Take(const WeightEntry& entry) {
  if (num_taken_ < weights_.size()) {
    CHECK(weights_[num_taken_].entry == entry);
    Count(entry);
    return Place{const_cast<void*>(weights_[num_taken_++].data), true};
  }
  const size_t rounded = (entry.bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (chunks_.empty() || chunks_.back().bytes() - used_ < rounded) {
    Result<DeviceBuffer> chunk =
        device_.ops->allocate(*device_.context, std::max(rounded, kChunkBytes));
    if (!chunk.ok()) return chunk.status();
    chunks_.push_back(std::move(chunk.value()));
    used_ = 0;
  }
  void* const data = chunks_.back().as<char>() + used_;
  used_ += rounded;
  Count(entry);
  weights_.push_back({entry, data});
  ++num_taken_;
  return Place{data, false};
}

const WeightEntry* AllocatedWeights::Next() const {
  return num_taken_ < weights_.size() ? &weights_[num_taken_].entry : nullptr;
}

void AllocatedWeights::Rewind() {
  num_taken_ = 0;
  ResetCount();
}

void AllocatedWeights::WillRead(const FileRange& range) { read_ahead_->Reached(range); }

}  // namespace autoglm
