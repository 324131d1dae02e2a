#ifndef AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_
#define AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "simt/emulated_gpu.h"
#include "simt/fiber.h"
#include "simt/shadow.h"

namespace autoglm::simt {

inline constexpr int kLanes = 32;

// What each lane gives to a function of its warp and gets from it. `perform` sees the operands of
// all lanes; it is what tells one function from another.
using WarpFunction = void (*)(const std::array<void*, kLanes>& operands);

// What lies before a thread of a launch, of what other blocks did: the number of barriers of each block
// up to which all that it did lies before, by the block's number; blocks beyond its end: nothing.
using BlockClock = std::vector<int>;

// What is done when a thread stores a word that others may wait for: all that its block did before the
// last barrier, what it did itself, and all that lies before that.
struct Release {
  int block;
  int epoch;
  int thread;
  BlockClock before;
};

// What was released at each word.
using Releases = std::map<const void*, std::vector<Release>>;

// Returns what is wrong with a launch that no GPU would take, or "".
std::string LaunchFault(const cuda::KernelLaunch& launch);

// Runs the threads of a block as fibers: whichever may go on, chosen at random, up to its next barrier
// or function of its warp.
class Block final : public Accessor {
 public:
  // Bits of the GPUs whose memory a launch may use, by number.
  using Gpus = std::bitset<kMaxGpus>;

  // Runs a whole launch, its blocks one after another in a random order. Returns false if it was given
  // up because of a fault.
  static bool Run(const cuda::KernelLaunch& launch, uint64_t seed, Gpus gpus);
  // Returns the block whose thread runs on this thread of the system, or null.
  static Block* Running();

  // Prepares blocks of the launch that run on these stacks, as many as a block has threads, and release
  // words there.
  Block(const cuda::KernelLaunch& launch, uint64_t seed, Gpus gpus, char* stacks,
        Releases& releases);

  // Makes it the block at this place of the grid, before whose threads this lies. Numbers of blocks
  // whose order matters are different.
  void Begin(cuda::Dim3 index, int number, BlockClock before);
  // Runs a thread until it waits, pauses or ends. Returns whether it did more than pause.
  bool Step();
  bool is_done() const { return num_done_ == launch_.threads; }
  bool is_given_up() const { return is_given_up_; }
  // Adds to a clock all that this block has done, and what lay before that.
  void AddTo(BlockClock& clock) const;
  // Separates what threads have done from what they will do, because others have used the memory.
  void EndIntervals();

  // The functions below are called by the thread of the block that runs.

  int thread_index() const { return self().index; }
  cuda::Dim3 index() const { return index_; }
  const cuda::KernelLaunch& launch() const { return launch_; }

  void SyncThreads(const std::source_location& where);
  void SyncNamed(int id, int threads, const std::source_location& where);
  void SyncWarp(const std::source_location& where);
  void CallInWarp(WarpFunction perform, void* operand, const std::source_location& where);
  // Synchronizes as SyncThreads does. Returns whether `value` is true of all threads that take part.
  bool SyncThreadsAnd(bool value, const std::source_location& where);
  void Fence();
  // Orders this block behind those that used the same counter after a fence.
  void MeetAt(const void* counter);
  // Orders the thread behind those that released the word, or them behind it.
  void Acquire(const void* word);
  void ReleaseAt(const void* word);
  // Lets others go on.
  void Pause();

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
  enum class State {
    kRunnable,
    kPausing,
    kAtBlockBarrier,
    kAtNamedBarrier,
    kInWarpFunction,
    kDone
  };
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
  // What a thread has acquired, which the others have behind a barrier.
  struct Acquired {
    Release release;
    int thread;
    int epoch;
  };

  // Returns whether a release lies before what the running thread does.
  bool HasAcquired(const Acquired& acquired) const {
    return acquired.thread == running_ || acquired.epoch < epoch_;
  }
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
  const Gpus gpus_;
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
  bool vote_ = true;  // of the threads at the barrier
  bool last_vote_ = true;
  bool is_given_up_ = false;
  const void* code_ = nullptr;  // of the last access
  Releases& releases_;
  BlockClock clock_;  // what lies before all threads of this block
  std::vector<Acquired> acquired_;  // and what is not in it
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_BLOCK_H_
