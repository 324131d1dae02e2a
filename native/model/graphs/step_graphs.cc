#include "model/graphs/step_graphs.h"

#include <algorithm>
#include <utility>

#include "kernels/group/device_group.h"

namespace autoglm {

void StepGraphs::Run(const StepBucket& bucket, const std::function<void()>& operations) {
  OpsGraph* const graph = GraphOf(bucket, operations);
  if (graph == nullptr) return operations();
  device_.ops->replay(*device_.context, *graph);
}

OpsGraph* StepGraphs::GraphOf(const StepBucket& bucket, const std::function<void()>& operations) {
  Known& known = Find(bucket);
  const bool is_first = known.last_use == 0;
  known.last_use = ++num_uses_;
  if (is_first || known.graph != nullptr || has_no_memory_) return known.graph.get();

  Result<std::unique_ptr<OpsGraph>> captured = device_.ops->capture(*device_.context, operations);
  // Ranks also wait here for each other: making a graph may wait for whatever its device runs, and
  // must not wait for a sum to which this rank has yet to come.
  const std::optional<uint64_t> bytes =
      Agree(captured.ok() ? std::optional(captured.value()->bytes()) : std::nullopt);
  if (!bytes.has_value()) {
    has_no_memory_ = true;
    return nullptr;
  }
  known.graph = std::move(captured.value());
  known.graph_bytes = *bytes;
  OpsGraph* const graph = known.graph.get();
  while (known_.size() > 1 && NumBytes() > kMaxBytes) GiveUpOldest();
  return graph;
}

void StepGraphs::Clear() {
  known_.clear();
  has_no_memory_ = false;
}

std::optional<uint64_t> StepGraphs::Agree(std::optional<uint64_t> bytes) const {
  const GroupRank* const place = device_.context->group_rank;
  if (place == nullptr) return bytes;
  const int64_t own = bytes.has_value() ? static_cast<int64_t>(*bytes) : -1;
  std::vector<int64_t> all(static_cast<size_t>(place->group->num_ranks()));
  if (!place->group->Share(place->rank, own, all)) return std::nullopt;
  const auto [least, most] = std::minmax_element(all.begin(), all.end());
  return *least < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*most));
}

StepGraphs::Known& StepGraphs::Find(const StepBucket& bucket) {
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& one) { return one.bucket == bucket; });
  if (found != known_.end()) return *found;
  if (known_.size() == kMaxBuckets) GiveUpOldest();
  known_.push_back({.bucket = bucket, .last_use = 0, .graph = nullptr, .graph_bytes = 0});
  return known_.back();
}

void StepGraphs::GiveUpOldest() {
  known_.erase(std::min_element(known_.begin(), known_.end(), [](const Known& a, const Known& b) {
    return a.last_use < b.last_use;
  }));
}

uint64_t StepGraphs::NumBytes() const {
  uint64_t bytes = 0;
  for (const Known& known : known_) bytes += known.graph_bytes;
  return bytes;
}

}  // namespace autoglm
