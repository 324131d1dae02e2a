#include "device/thread_pool.h"

#include <chrono>

#include "device/device_id.h"
#include "device/pin_thread.h"

namespace autoglm {
namespace {

// Time for which a thread looks for work before it sleeps: longer than the gap between two
// operations of a step, and too short to keep a core visibly busy.
constexpr std::chrono::microseconds kSpinTime(30);
constexpr int kChecksPerClockRead = 64;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

// Waits until `value` differs from `old`: first spinning, then asleep.
template <typename T>
void WaitWhileEqual(const std::atomic<T>& value, T old) {
  const auto limit = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kChecksPerClockRead; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < limit);
  value.wait(old, std::memory_order_acquire);
}

// Returns true if workers may enter. The generation grows by one when a piece of work opens, and by
// one when it closes.
bool IsOpen(uint32_t generation) { return generation % 2 == 1; }

}  // namespace

ThreadPool::ThreadPool(const std::vector<int>& cores) {
  const size_t num_threads = cores.empty() ? AvailableCores().size() : cores.size();
  for (size_t i = 1; i < num_threads; ++i) {
    const int core = cores.empty() ? -1 : cores[i];
    workers_.emplace_back([this, core] { RunWorker(core); });
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
    for (int64_t i = 0; i < work.num_tasks; ++i) work.call(work.task, i);
    return;
  }
  work_ = work;
  next_task_.store(0, std::memory_order_relaxed);
  generation_.fetch_add(1);  // opens
  generation_.notify_all();
  RunTasks();
  generation_.fetch_add(1);  // closes: a worker that wakes later does not enter
  // The workers inside must leave first: `work` and its captures live on this stack.
  for (int32_t inside = num_inside_.load(); inside != 0; inside = num_inside_.load()) {
    WaitWhileEqual(num_inside_, inside);
  }
}

void ThreadPool::RunWorker(int core) {
  if (core >= 0) PinCallingThread(core);
  uint32_t seen = 0;
  while (true) {
    WaitWhileEqual(generation_, seen);
    seen = generation_.load();
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (!IsOpen(seen)) continue;
    // The worker enters, then looks again: either Run sees the worker inside, or the worker sees
    // that the work is closed. All four accesses are sequentially consistent.
    num_inside_.fetch_add(1);
    if (IsOpen(generation_.load())) RunTasks();
    if (num_inside_.fetch_sub(1) == 1) num_inside_.notify_all();
  }
}

void ThreadPool::RunTasks() {
  const Work work = work_;
  while (true) {
    const int64_t index = next_task_.fetch_add(1, std::memory_order_relaxed);
    if (index >= work.num_tasks) return;
    work.call(work.task, index);
  }
}

}  // namespace autoglm
