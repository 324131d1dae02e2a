#ifndef AUTOGLM_DEVICE_THREAD_POOL_H_
#define AUTOGLM_DEVICE_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace autoglm {

// The threads of one CPU device. One thread at a time, the engine thread, distributes work and
// takes part in it. A step wakes the other threads many hundred times, so they spin briefly before
// they sleep. If another process keeps a thread off its core, the pool does not wait
// for that thread: the others do its share.
//
// Each thread begins with a share of its own, the tasks of which are consecutive. Operations that divide
// the same rows alike so find what they read in the caches of the core that wrote it: from another core's,
// a line takes as long as from memory.
class ThreadPool {
 public:
  // Starts one thread per core; the caller is the first of them. If `cores` is empty, there is one
  // thread for each core on which the process may run, within its control group's share, and the
  // system's scheduler places them.
  explicit ThreadPool(const std::vector<int>& cores) : ThreadPool(cores, 0) {}
  // The same with at most `max_threads` threads; 0: no bound.
  ThreadPool(const std::vector<int>& cores, int max_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(i), or task(i, thread) with the thread's number below num_threads(), once for each i
  // in 0..num_tasks - 1, in no order, and returns when all are done.
  template <typename Task>
  void ParallelFor(int64_t num_tasks, const Task& task) {
    Run({[](const void* context, int64_t index, int thread) {
           const Task& body = *static_cast<const Task*>(context);
           if constexpr (std::is_invocable_v<const Task&, int64_t, int>) {
             body(index, thread);
           } else {
             body(index);
           }
         },
         &task, num_tasks});
  }

 private:
  struct Work {
    void (*call)(const void* task, int64_t index, int thread) = nullptr;
    const void* task = nullptr;
    int64_t num_tasks = 0;
  };

  // Tasks next..end - 1 are left, in a cache line that only this share's takers write.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  void Run(const Work& work);
  void RunWorker(int thread, int core);
  // Runs the tasks of the thread's share, then those that are left of the others'.
  void RunTasks(int thread);

  // Run writes both only while the generation is closed and no worker is inside; workers inside read
  // them.
  Work work_;
  std::vector<Share> shares_;  // [num_threads()]
  std::atomic<uint32_t> generation_{0};  // odd: open to workers
  std::atomic<uint32_t> num_inside_{0};  // workers that may read work_
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_THREAD_POOL_H_
