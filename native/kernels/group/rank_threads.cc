#include "kernels/group/rank_threads.h"

#include "device/spin_wait.h"

namespace autoglm {

RankThreads::RankThreads(int num_ranks) {
  for (int rank = 1; rank < num_ranks; ++rank) {
    threads_.emplace_back([this, rank] { RunThread(rank); });
  }
}

RankThreads::~RankThreads() {
  stopping_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void RankThreads::RunWork(const Work& work) {
  work_ = work;
  num_running_.store(static_cast<uint32_t>(threads_.size()));
  generation_.fetch_add(1);
  generation_.notify_all();
  work.call(work.task, 0);
  for (uint32_t running = num_running_.load(); running != 0; running = num_running_.load()) {
    WaitWhileEqual(num_running_, running, kSpinTime);
  }
}

void RankThreads::RunThread(int rank) {
  for (uint32_t seen = 0;; ++seen) {
    WaitWhileEqual(generation_, seen, kSpinTime);
    if (stopping_.load()) return;
    work_.call(work_.task, rank);
    num_running_.fetch_sub(1);
    num_running_.notify_all();
  }
}

}  // namespace autoglm
