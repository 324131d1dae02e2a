#include "device/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <optional>

#include "device/cgroup.h"
#include "device/device_id.h"
#include "device/pin_thread.h"
#include "device/spin_wait.h"

namespace autoglm {
namespace {

// Returns how many threads can run at once: more than the control group's share of processor time
// would be stopped in the middle of their work, and the others would wait for them.
size_t UsableThreads() {
  const size_t num_cores = AvailableCores().size();
  const std::optional<int64_t> share = ReadCgroupLimits().num_cores;
  return std::min(num_cores, static_cast<size_t>(share.value_or(CPU_SETSIZE)));
}

// Returns true if workers may enter. The generation grows by one when a piece of work opens, and by
// one when it closes.
bool IsOpen(uint32_t generation) { return generation % 2 == 1; }

}  // namespace

ThreadPool::ThreadPool(const std::vector<int>& cores, int max_threads) {
  size_t num_threads = cores.empty() ? UsableThreads() : cores.size();
  if (max_threads > 0) num_threads = std::min(num_threads, static_cast<size_t>(max_threads));
  shares_ = std::vector<Share>(num_threads);
  for (size_t i = 1; i < num_threads; ++i) {
    const int core = cores.empty() ? -1 : cores[i];
    workers_.emplace_back([this, i, core] { RunWorker(static_cast<int>(i), core); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(const Work& work) {
  if (workers_.empty() || work.num_tasks <= 1) {
    for (int64_t i = 0; i < work.num_tasks; ++i) work.call(work.task, i, 0);
    return;
  }
  work_ = work;
  const auto num_shares = static_cast<int64_t>(shares_.size());
  for (int64_t i = 0; i < num_shares; ++i) {
    Share& share = shares_[static_cast<size_t>(i)];
    share.next.store(i * work.num_tasks / num_shares, std::memory_order_relaxed);
    share.end = (i + 1) * work.num_tasks / num_shares;
  }
  generation_.fetch_add(1);  // opens
  generation_.notify_all();
  RunTasks(0);
  generation_.fetch_add(1);  // closes: a worker that wakes later does not enter
  // The workers inside must leave first: `work` and its captures live on this stack.
  for (uint32_t inside = num_inside_.load(); inside != 0; inside = num_inside_.load()) {
    WaitWhileEqual(num_inside_, inside, kSpinTime);
  }
}

void ThreadPool::RunWorker(int thread, int core) {
  if (core >= 0) PinCallingThread(core);
  uint32_t seen = 0;
  while (true) {
    WaitWhileEqual(generation_, seen, kSpinTime);
    seen = generation_.load();
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (!IsOpen(seen)) continue;
    // The worker enters, then looks again: either Run sees the worker inside, or the worker sees
    // that the work is closed. All four accesses are sequentially consistent.
    num_inside_.fetch_add(1);
    if (IsOpen(generation_.load())) RunTasks(thread);
    if (num_inside_.fetch_sub(1) == 1) num_inside_.notify_all();
  }
}

void ThreadPool::RunTasks(int thread) {
  const Work work = work_;
  const size_t num_shares = shares_.size();
  for (size_t i = 0; i < num_shares; ++i) {
    Share& share = shares_[(static_cast<size_t>(thread) + i) % num_shares];
    // Looking first: a share that is done would be written, and so taken from the caches of others.
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      const int64_t index = share.next.fetch_add(1, std::memory_order_relaxed);
      if (index < share.end) work.call(work.task, index, thread);
    }
  }
}

}  // namespace autoglm
