#ifndef AUTOGLM_MODEL_STEP_GRAPHS_H_
#define AUTOGLM_MODEL_STEP_GRAPHS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "kernels/ops.h"
#include "model/graphs/step_bucket.h"

namespace autoglm {

// Graphs of a device's operations, one for each bucket of steps. Arguments are those of the capture:
// whatever differs between two steps of a bucket lies in memory that is written before, at a place
// that stays.
class StepGraphs {
 public:
  // Most buckets that are remembered, and memory of the device that their graphs take. Beyond either,
  // the bucket that has not been used for longest is given up.
  static constexpr size_t kMaxBuckets = 64;
  static constexpr uint64_t kMaxBytes = uint64_t{128} << 20;

  // The device must capture.
  explicit StepGraphs(const Device& device) : device_(device) {}

  // Runs the operations of a step, which are the same for each step of a bucket. They are called for
  // the first of its steps, captured at the second, and replayed from then on. Where a graph has no
  // memory, they are called.
  void Run(const StepBucket& bucket, const std::function<void()>& operations);

  // Gives up all graphs, because something they read has moved.
  void Clear() { known_.clear(); }

 private:
  struct Known {
    StepBucket bucket;
    uint64_t last_use = 0;            // 0: none yet
    std::unique_ptr<OpsGraph> graph;  // null: not captured
  };

  // Returns what a step of this bucket replays; null: it calls its operations.
  OpsGraph* GraphOf(const StepBucket& bucket, const std::function<void()>& operations);
  Known& Find(const StepBucket& bucket);
  void GiveUpOldest();
  uint64_t NumBytes() const;

  const Device& device_;
  std::vector<Known> known_;
  uint64_t num_uses_ = 0;
  bool has_no_memory_ = false;  // a capture was refused, and none is tried again
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_GRAPHS_H_
