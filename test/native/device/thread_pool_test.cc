#include "device/thread_pool.h"

#include <atomic>
#include <numeric>
#include <thread>

#include "device/device_id.h"
#include "doctest/doctest.h"

namespace autoglm {
namespace {

// Returns one core, the first, for all threads: the hardest case for waiting.
std::vector<int> CrowdedCores(int num_threads) {
  return std::vector<int>(static_cast<size_t>(num_threads), AvailableCores().front());
}

TEST_CASE("A thread pool runs every task once, whatever the number of tasks and threads") {
  for (const int num_threads : {1, 2, 5}) {
    ThreadPool pool(CrowdedCores(num_threads));
    for (const int64_t num_tasks : {0, 1, 2, 7, 100}) {
      CAPTURE(num_threads);
      CAPTURE(num_tasks);
      std::vector<std::atomic<int>> runs(static_cast<size_t>(num_tasks));

      pool.ParallelFor(num_tasks, [&](int64_t task) { runs[static_cast<size_t>(task)]++; });

      for (const std::atomic<int>& count : runs) CHECK_EQ(count.load(), 1);
    }
  }
}

TEST_CASE("A thread pool has finished all tasks when the call returns, many times in a row") {
  ThreadPool pool(CrowdedCores(3));
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> values(16, 0);

    pool.ParallelFor(16, [&](int64_t task) { values[static_cast<size_t>(task)] = task + round; });

    REQUIRE_EQ(std::accumulate(values.begin(), values.end(), int64_t{0}), 120 + 16 * round);
  }
}

TEST_CASE("A task may ask which thread runs it, and no two threads have one number") {
  ThreadPool pool(CrowdedCores(3));
  std::vector<std::atomic<int>> inside(3);
  std::atomic<int> collisions = 0;

  pool.ParallelFor(1000, [&](int64_t, int thread) {
    if (inside[static_cast<size_t>(thread)].fetch_add(1) != 0) ++collisions;
    inside[static_cast<size_t>(thread)].fetch_sub(1);
  });

  CHECK_EQ(collisions.load(), 0);
}

TEST_CASE("Each thread begins with a share of its own, in the order of tasks") {
  ThreadPool pool(CrowdedCores(3));
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> num_begun = 0;
    int threads[3] = {-1, -1, -1};

    // No task ends before all have begun, so that no thread takes another's.
    pool.ParallelFor(3, [&](int64_t task, int thread) {
      threads[task] = thread;
      num_begun += 1;
      while (num_begun < 3) std::this_thread::yield();
    });

    REQUIRE_EQ(threads[0], 0);
    REQUIRE_EQ(threads[1], 1);
    REQUIRE_EQ(threads[2], 2);
  }
}

TEST_CASE("A thread whose share is done takes tasks of one that is held up") {
  ThreadPool pool(CrowdedCores(2));
  std::atomic<int> num_done = 0;

  // The first task waits for all others, some of which are of its own thread's share.
  pool.ParallelFor(20, [&](int64_t task) {
    while (task == 0 && num_done < 19) std::this_thread::yield();
    num_done += 1;
  });

  CHECK_EQ(num_done.load(), 20);
}

TEST_CASE("A thread pool that never worked ends") {
  const ThreadPool pool(CrowdedCores(4));

  CHECK_EQ(pool.num_threads(), 4);
}

TEST_CASE("A thread pool has at most as many threads as it may, and no more than cores") {
  CHECK_EQ(ThreadPool(CrowdedCores(4), 3).num_threads(), 3);
  CHECK_EQ(ThreadPool(CrowdedCores(4), 9).num_threads(), 4);
  CHECK_EQ(ThreadPool({}, 1).num_threads(), 1);
}

}  // namespace
}  // namespace autoglm
