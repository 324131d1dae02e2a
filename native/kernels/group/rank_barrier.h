#ifndef AUTOGLM_KERNELS_GROUP_RANK_BARRIER_H_
#define AUTOGLM_KERNELS_GROUP_RANK_BARRIER_H_

#include <atomic>
#include <cstdint>

namespace autoglm {

// A place where the threads of all ranks wait for each other, again and again. A thread that waits
// looks for a short while and then sleeps, so that ranks may share cores.
class RankBarrier {
 public:
  explicit RankBarrier(int num_ranks) : num_ranks_(static_cast<uint32_t>(num_ranks)) {}

  // Waits until every rank has called; returns false at once if the barrier is broken, or becomes so.
  // What a rank wrote before its call, all see after theirs.
  bool Wait();
  // Lets those leave that wait, and all that come.
  void Break();
  bool is_broken() const { return is_broken_.load(); }
  // Makes a broken barrier whole. Nobody may be inside.
  void Repair();

 private:
  const uint32_t num_ranks_;
  std::atomic<uint32_t> num_arrived_{0};
  std::atomic<uint32_t> generation_{0};  // grows each time all are let go
  std::atomic<bool> is_broken_{false};
};

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_GROUP_RANK_BARRIER_H_
