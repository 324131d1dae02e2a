#ifndef AUTOGLM_MODEL_STEP_GRAPHS_H_
#define AUTOGLM_MODEL_STEP_GRAPHS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/ops.h"
#include "model/graphs/step_bucket.h"

namespace autoglm {

// Graphs of a device's operations, one for each bucket of steps. Arguments are those of the capture:
// whatever differs between two steps of a bucket lies in memory that is written before, at a place
// that stays.
//
// Ranks of a group run the same buckets in the same order, and each has a graph of its own. They agree
// on what they captured and how much memory it takes, so that all know the same buckets: whether a rank
// runs, captures or replays a step is the same on all.
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

  // Gives up all graphs, because something they read has moved or ranks no longer agree.
  void Clear();

 private:
  struct Known {
    StepBucket bucket;
    uint64_t last_use = 0;            // 0: none yet
    std::unique_ptr<OpsGraph> graph;  // null: not captured
    uint64_t graph_bytes = 0;         // of the rank where it takes the most
  };

  // Returns what a step of this bucket replays; null: it calls its operations.
  OpsGraph* GraphOf(const StepBucket& bucket, const std::function<void()>& operations);
  // Returns the most bytes of any rank's graph, which each of them gives; none if a rank has none, or
  // the group is broken.
  std::optional<uint64_t> Agree(std::optional<uint64_t> bytes) const;
  Known& Find(const StepBucket& bucket);
  void GiveUpOldest();
  uint64_t NumBytes() const;

  const Device& device_;
  std::vector<Known> known_;
  uint64_t num_uses_ = 0;
  bool has_no_memory_ = false;  // a capture was refused: none is tried again until Clear
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_STEP_GRAPHS_H_
