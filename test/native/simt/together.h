#ifndef AUTOGLM_TEST_NATIVE_SIMT_TOGETHER_H_
#define AUTOGLM_TEST_NATIVE_SIMT_TOGETHER_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "simt/block.h"
#include "simt/turn.h"

namespace autoglm::simt {

// Runs launches of several GPUs that wait for each other: all of their blocks are there at once, and
// which thread of which launch goes on is chosen at random. Launches of one stream follow each other.
// Everything here is called with the turn.
class Together {
 public:
  static Together& Get();

  // Runs the launch to its end, beside those that other threads of the system run meanwhile; while
  // launches are queued, adds it to them.
  void Launch(const cuda::Stream* stream, const cuda::KernelLaunch& launch, Block::Gpus gpus,
              uint64_t seed, Turn& turn);

 private:
  friend class LaunchQueue;

  struct Member {
    const cuda::Stream* stream;
    cuda::Dim3 grid;
    size_t num_threads;  // of a block
    std::vector<std::unique_ptr<Block>> blocks;  // those that have not ended
    std::vector<char*> stacks;
    BlockClock clock;  // what its blocks have done and knew at their ends
    bool has_begun = false;
    bool is_done = false;
  };

  // Returns null if no GPU would take the launch.
  Member* Add(const cuda::Stream* stream, const cuda::KernelLaunch& launch, Block::Gpus gpus,
              uint64_t seed);
  // Runs launches until this one has ended; null: until all have.
  void RunUntil(const Member* last, Turn& turn);
  // Lets a thread of one of the launches go on. Returns whether it did more than pause.
  bool Step();
  void BeginBlocks(Member& member);
  void End(Member& member);
  void GiveUp();

  std::list<Member> members_;  // in the order in which they came
  std::map<const cuda::Stream*, BlockClock> clocks_;  // of a stream's last launch
  std::map<size_t, std::vector<char*>> free_stacks_;  // by their number
  Releases releases_;
  std::mt19937_64 random_;
  int num_blocks_ = 0;
  std::optional<uint64_t> launch_of_shadow_;  // in which the accesses of all members are
  bool is_queued_ = false;
  bool is_running_ = false;  // on some thread of the system
};

// While one exists, launches that wait for each other do not run: one thread of the system gives them
// to several streams, and Run runs all in an order that the seed of the machine decides alone.
class LaunchQueue {
 public:
  LaunchQueue();
  ~LaunchQueue();
  LaunchQueue(const LaunchQueue&) = delete;
  LaunchQueue& operator=(const LaunchQueue&) = delete;

  void Run();
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_TOGETHER_H_
