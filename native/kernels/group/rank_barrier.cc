#include "kernels/group/rank_barrier.h"

#include "device/spin_wait.h"

namespace autoglm {

bool RankBarrier::Wait() {
  // The generation is read before the flag, and Break sets the flag before the generation: whoever
  // finds the barrier whole here is woken by a break that follows.
  const uint32_t generation = generation_.load();
  if (is_broken()) return false;
  if (num_arrived_.fetch_add(1) + 1 == num_ranks_) {
    num_arrived_.store(0);
    generation_.fetch_add(1);
    generation_.notify_all();
  } else {
    WaitWhileEqual(generation_, generation, kSpinTime);
  }
  return !is_broken();
}

void RankBarrier::Break() {
  is_broken_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
}

void RankBarrier::Repair() {
  num_arrived_.store(0);
  is_broken_.store(false);
}

}  // namespace autoglm
