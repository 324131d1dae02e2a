#include "model/graphs/step_graphs.h"

#include <algorithm>
#include <utility>

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
  if (!captured.ok()) {
    has_no_memory_ = true;
    return nullptr;
  }
  known.graph = std::move(captured.value());
  OpsGraph* const graph = known.graph.get();
  while (known_.size() > 1 && NumBytes() > kMaxBytes) GiveUpOldest();
  return graph;
}

StepGraphs::Known& StepGraphs::Find(const StepBucket& bucket) {
  const auto found = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& one) { return one.bucket == bucket; });
  if (found != known_.end()) return *found;
  if (known_.size() == kMaxBuckets) GiveUpOldest();
  known_.push_back({.bucket = bucket, .last_use = 0, .graph = nullptr});
  return known_.back();
}

void StepGraphs::GiveUpOldest() {
  known_.erase(std::min_element(known_.begin(), known_.end(), [](const Known& a, const Known& b) {
    return a.last_use < b.last_use;
  }));
}

uint64_t StepGraphs::NumBytes() const {
  uint64_t bytes = 0;
  for (const Known& known : known_) bytes += known.graph == nullptr ? 0 : known.graph->bytes();
  return bytes;
}

}  // namespace autoglm
