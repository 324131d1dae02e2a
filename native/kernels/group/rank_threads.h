#ifndef AUTOGLM_KERNELS_GROUP_RANK_THREADS_H_
#define AUTOGLM_KERNELS_GROUP_RANK_THREADS_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace autoglm {

// The threads of a group's ranks: the caller's is that of rank 0, every other rank has its own. A
// device binds the thread that opens it to its cores, and is used by this thread alone.
class RankThreads {
 public:
  explicit RankThreads(int num_ranks);
  ~RankThreads();
  RankThreads(const RankThreads&) = delete;
  RankThreads& operator=(const RankThreads&) = delete;

  // Calls task(rank) on the thread of each rank and returns when all have returned.
  template <typename Task>
  void Run(const Task& task) {
    RunWork({[](const void* context, int rank) { (*static_cast<const Task*>(context))(rank); },
             &task});
  }

 private:
  struct Work {
    void (*call)(const void* task, int rank) = nullptr;
    const void* task = nullptr;
  };

  void RunWork(const Work& work);
  void RunThread(int rank);

  Work work_;  // read by the other threads between a new generation and the end of their part
  std::atomic<uint32_t> generation_{0};  // grows with each piece of work
  std::atomic<uint32_t> num_running_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;  // of ranks 1, 2, ...
};

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_GROUP_RANK_THREADS_H_
