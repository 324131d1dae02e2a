#ifndef AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_
#define AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "simt/fiber.h"
#include "simt/shadow.h"

namespace autoglm::simt {

inline constexpr int kLanes = 32;

// What each lane gives to a function of its warp and gets from it. `perform` sees the operands of
// all lanes; it is what tells one function from another.
using WarpFunction = void (*)(const std::array<void*, kLanes>& operands);

// Runs the blocks of a launch one after another in a random order, and the threads of a block as
// fibers: whichever may go on, chosen at random, up to its next barrier or function of its warp.
class Block final : public Accessor {
 public:
  // Runs a whole launch. Returns false if it was given up because of a fault.
  static bool Run(const cuda::KernelLaunch& launch, uint64_t seed);
  // Returns the block whose thread runs on this thread of the system, or null.
  static Block* Running();

  // The functions below are called by the thread of the block that runs.

  int thread_index() const { return self().index; }
  cuda::Dim3 index() const { return index_; }
  const cuda::KernelLaunch& launch() const { return launch_; }

  void SyncThreads(const std::source_location& where);
  void SyncNamed(int id, int threads, const std::source_location& where);
  void SyncWarp(const std::source_location& where);
  void CallInWarp(WarpFunction perform, void* operand, const std::source_location& where);
  void Fence();
  // Orders this block behind those that used the same counter after a fence.
  void MeetAt(const void* counter);

  void BeginCopy(void* shared, const void* global, bool is_valid, const void* code);
  void CommitCopies();
  void WaitForCopies(int max_pending);

  // Judges an access. `code` is the place in the program that makes it.
  void Note(const void* p, size_t bytes, AccessKind kind, const void* code);
  // Judges an address alone, of what a report names.
  void CheckAligned(const void* p, size_t bytes, const char* what, const void* code);
  void CheckShared(const void* p, size_t bytes, const char* what, const void* code);
  void ReportMisaligned(const void* p, const std::string& what, const void* code);

  bool IsAfter(const Interval& interval) const override;
  std::string Where() const override;

 private:
  struct Copy {
    void* shared;
    const void* global;
    bool is_valid;
  };
  enum class State { kRunnable, kAtBlockBarrier, kAtNamedBarrier, kInWarpFunction, kDone };
  struct Thread {
    Thread(char* stack, int number) : fiber(stack, number), index(number) {}
    void Reset();

    Fiber fiber;
    int index;
    State state = State::kRunnable;
    std::source_location where = {};  // of what it waits at
    WarpFunction perform = nullptr;
    void* operand = nullptr;
    IntervalId interval = 0;  // 0 until the first access after a barrier
    int clock = 1;
    bool has_fenced = false;
    int known_epoch = -1;  // in which known_ of this thread holds
    std::vector<std::vector<Copy>> copy_groups = {};
    std::vector<Copy> open_copies = {};
  };
  struct NamedBarrier {
    int threads = 0;
    std::vector<int> waiting;
  };
  // What is done when a thread uses a counter behind a fence: all that its block did before the last
  // barrier, and what it did itself.
  struct Release {
    int block;
    int epoch;
    int thread;
  };

  Block(const cuda::KernelLaunch& launch, uint64_t seed);

  bool RunBlock(cuda::Dim3 index);
  // What a fiber runs.
  static void RunThread();
  Thread& self() { return threads_[static_cast<size_t>(running_)]; }
  const Thread& self() const { return threads_[static_cast<size_t>(running_)]; }
  void Wake(Thread& thread);
  void ReleaseBlockBarrierIfComplete();
  // Returns whether the lanes that have not ended wait at one place; reports if they do not.
  bool LanesAgree(int warp) const;
  // Orders what each of the threads did before what each of them does from here on.
  void Join(const std::vector<int>& members);
  // Leaves the launch, whose threads never run again.
  [[noreturn]] void GiveUp();
  void ReportDeadlock();
  IntervalId CurrentInterval();
  // Returns whether a thread may make this access of memory that is not the device's: of its own
  // stack, of its arguments, of constants.
  bool MayTouchHost(const void* p, size_t bytes, AccessKind kind) const;

  const cuda::KernelLaunch launch_;
  const std::vector<char> args_;  // a copy, as a GPU has
  std::mt19937_64 random_;
  Fiber host_;
  std::vector<Thread> threads_;
  std::vector<int> runnable_;
  std::map<int, NamedBarrier> named_;
  // Clock up to which each thread's doings lie before those of another: [threads][threads], since
  // the last barrier of the whole block.
  std::vector<std::vector<int>> known_;
  cuda::Dim3 index_;
  int running_ = -1;
  int block_number_ = -1;  // in the order in which blocks run
  int epoch_ = 0;          // barriers of the whole block so far
  int num_done_ = 0;
  int num_at_barrier_ = 0;
  bool is_given_up_ = false;
  const void* code_ = nullptr;  // of the last access
  std::map<const void*, std::vector<Release>> releases_;
  std::vector<Release> acquired_;  // what lies before this block
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_
