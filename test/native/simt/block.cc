#include "simt/block.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "simt/device_memory.h"
#include "simt/report.h"

// The first and last byte of the program or library that this is part of, its constants among them.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start;
extern "C" __attribute__((visibility("hidden"))) const char _end;

namespace autoglm::simt {
namespace {

constexpr int kMaxThreads = Fiber::kMaxStacks;
constexpr int kMaxGridSide = 65535;  // of y and z
constexpr size_t kCopyBytes = 16;

Block* running_block = nullptr;
thread_local bool runs_block = false;

// The emulator's own code while a thread of a block runs. What templates it shares with kernels, the
// linker may have taken from those, with their instrumentation.
class OwnCode {
 public:
  OwnCode() : was_running_(std::exchange(runs_block, false)) {}
  ~OwnCode() { runs_block = was_running_; }
  OwnCode(const OwnCode&) = delete;

 private:
  const bool was_running_;
};

std::string PlaceText(const std::source_location& where) {
  const std::string file = where.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line());
}

bool IsSamePlace(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

// Returns the name of the kernel's type in "void Launch(...) [with Kernel = {name}; ...]".
std::string KernelName(const char* signature) {
  const std::string text = signature;
  const size_t begin = text.find("Kernel = ");
  if (begin == std::string::npos) return text;
  const size_t name = begin + std::strlen("Kernel = ");
  return text.substr(name, text.find_first_of(";]", name) - name);
}

// Adds what lies before a release, but for what its thread did since its block's last barrier.
void AddToClock(BlockClock& clock, const Release& release) {
  const auto add = [&](size_t block, int epoch) {
    if (clock.size() <= block) clock.resize(block + 1);
    clock[block] = std::max(clock[block], epoch);
  };
  add(static_cast<size_t>(release.block), release.epoch);
  for (size_t block = 0; block < release.before.size(); ++block) add(block, release.before[block]);
}

}  // namespace

std::string LaunchFault(const cuda::KernelLaunch& launch) {
  if (launch.threads % kLanes != 0 || launch.threads > kMaxThreads) {
    return "a block of " + std::to_string(launch.threads) + " threads";
  }
  if (launch.grid.y > kMaxGridSide || launch.grid.z > kMaxGridSide) {
    return "a grid of " + std::to_string(launch.grid.y) + " by " + std::to_string(launch.grid.z) +
           " blocks in y and z";
  }
  return "";
}

Block* Block::Running() { return runs_block ? running_block : nullptr; }

Block::Block(const cuda::KernelLaunch& launch, uint64_t seed, Gpus gpus, char* stacks,
             Releases& releases)
    : launch_(launch),
      gpus_(gpus),
      args_(static_cast<const char*>(launch.args),
            static_cast<const char*>(launch.args) + launch.args_bytes),
      random_(seed),
      host_(nullptr, 0),
      known_(static_cast<size_t>(launch.threads)),
      releases_(releases) {
  threads_.reserve(static_cast<size_t>(launch.threads));
  for (int i = 0; i < launch.threads; ++i) {
    threads_.emplace_back(stacks + static_cast<size_t>(i) * Fiber::kStackBytes, i);
  }
}

bool Block::Run(const cuda::KernelLaunch& launch, uint64_t seed, Gpus gpus) {
  const std::string fault = LaunchFault(launch);
  if (!fault.empty()) {
    AddReport(Fault::kLaunch, KernelName(launch.name) + ": " + fault);
    return false;
  }
  static char* const stacks = Fiber::MapStacks(kMaxThreads, true);
  const DeviceMemory::Access access;
  Shadow::Get().BeginLaunch();
  DeviceMemory::Get().SetSharedBytes(launch.shared_bytes);
  Releases releases;
  Block block(launch, seed, gpus, stacks, releases);
  const int num_blocks = launch.grid.x * launch.grid.y * launch.grid.z;
  std::vector<int> order(static_cast<size_t>(num_blocks));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), block.random_);
  for (size_t i = 0; i < order.size() && !block.is_given_up_; ++i) {
    const int index = order[i];
    const int row = index / launch.grid.x;
    Shadow::Get().BeginBlock();
    std::memset(DeviceMemory::Get().shared(), 0xff, launch.shared_bytes);
    block.Begin({index % launch.grid.x, row % launch.grid.y, row / launch.grid.y},
                static_cast<int>(i), {});
    while (!block.is_done() && !block.is_given_up_) block.Step();
  }
  return !block.is_given_up_;
}

void Block::Begin(cuda::Dim3 index, int number, BlockClock before) {
  index_ = index;
  block_number_ = number;
  clock_ = std::move(before);
  epoch_ = 0;
  num_done_ = 0;
  num_at_barrier_ = 0;
  vote_ = true;
  named_.clear();
  acquired_.clear();
  runnable_.clear();
  for (Thread& thread : threads_) {
    thread.Reset();
    thread.fiber.Begin(RunThread);
    runnable_.push_back(thread.index);
  }
}

bool Block::Step() {
  if (runnable_.empty()) {
    ReportDeadlock();
    return true;
  }
  const size_t chosen = random_() % runnable_.size();
  running_ = runnable_[chosen];
  runnable_[chosen] = runnable_.back();
  runnable_.pop_back();
  CHECK(running_block == nullptr);
  running_block = this;
  runs_block = true;
  self().state = State::kRunnable;
  Fiber::Switch(host_, self().fiber);
  runs_block = false;
  running_block = nullptr;
  return self().state != State::kPausing;
}

void Block::EndIntervals() {
  for (Thread& thread : threads_) thread.interval = 0;
}

void Block::Pause() {
  const OwnCode own;
  self().state = State::kPausing;
  runnable_.push_back(running_);
  Fiber::Switch(self().fiber, host_);
}

void Block::Thread::Reset() {
  state = State::kRunnable;
  interval = 0;
  clock = 1;
  has_fenced = false;
  known_epoch = -1;
  copy_groups.clear();
  open_copies.clear();
}

void Block::RunThread() {
  Block& block = *running_block;
  reinterpret_cast<void (*)(const void*)>(const_cast<void*>(block.launch_.entry))(
      block.args_.data());
  block.self().state = State::kDone;
  ++block.num_done_;
  block.ReleaseBlockBarrierIfComplete();
  Fiber::Switch(block.self().fiber, block.host_);
}

void Block::Wake(Thread& thread) {
  thread.state = State::kRunnable;
  runnable_.push_back(thread.index);
}

void Block::GiveUp() {
  is_given_up_ = true;
  Fiber::Switch(self().fiber, host_);
  FailCheck("a thread that was given up runs", __FILE__, __LINE__);
}

// Barriers.

void Block::SyncThreads(const std::source_location& where) {
  const OwnCode own;
  self().state = State::kAtBlockBarrier;
  self().where = where;
  ++num_at_barrier_;
  ReleaseBlockBarrierIfComplete();
  Fiber::Switch(self().fiber, host_);
}

bool Block::SyncThreadsAnd(bool value, const std::source_location& where) {
  vote_ = vote_ && value;
  SyncThreads(where);
  return last_vote_;
}

void Block::ReleaseBlockBarrierIfComplete() {
  if (num_at_barrier_ == 0 || num_at_barrier_ + num_done_ < launch_.threads) return;
  for (int warp = 0; warp < launch_.threads / kLanes; ++warp) {
    if (!LanesAgree(warp)) GiveUp();
  }
  num_at_barrier_ = 0;
  last_vote_ = std::exchange(vote_, true);
  ++epoch_;
  for (Thread& thread : threads_) {
    if (thread.state != State::kAtBlockBarrier) continue;
    thread.interval = 0;
    thread.clock = 1;
    Wake(thread);
  }
}

bool Block::LanesAgree(int warp) const {
  const Thread* first = nullptr;
  for (int lane = 0; lane < kLanes; ++lane) {
    const Thread& thread = threads_[static_cast<size_t>(warp * kLanes + lane)];
    if (thread.state == State::kDone) continue;
    if (first == nullptr) first = &thread;
    if (IsSamePlace(first->where, thread.where)) continue;
    AddReport(Fault::kDivergentBarrier,
              KernelName(launch_.name) + ": threads " + std::to_string(first->index) + " and " +
                  std::to_string(thread.index) + " of one warp wait at " + PlaceText(first->where) +
                  " and " + PlaceText(thread.where));
    return false;
  }
  return true;
}

void Block::SyncNamed(int id, int threads, const std::source_location& where) {
  const OwnCode own;
  Thread& thread = self();
  NamedBarrier& barrier = named_[id];
  const bool is_possible = id >= 1 && id <= 15 && threads % kLanes == 0 && threads > 0 &&
                           (barrier.waiting.empty() || barrier.threads == threads);
  if (!is_possible) {
    AddReport(Fault::kDivergentBarrier,
              KernelName(launch_.name) + ": barrier " + std::to_string(id) + " of " +
                  std::to_string(threads) + " threads at " + PlaceText(where));
    GiveUp();
  }
  barrier.threads = threads;
  barrier.waiting.push_back(thread.index);
  thread.state = State::kAtNamedBarrier;
  thread.where = where;
  if (static_cast<int>(barrier.waiting.size()) == threads) {
    const std::vector<int> members = std::exchange(barrier.waiting, {});
    Join(members);
    for (const int member : members) Wake(threads_[static_cast<size_t>(member)]);
  }
  Fiber::Switch(thread.fiber, host_);
}

void Block::CallInWarp(WarpFunction perform, void* operand, const std::source_location& where) {
  Thread& thread = self();
  thread.perform = perform;
  thread.operand = operand;
  thread.where = where;
  thread.state = State::kInWarpFunction;
  Thread* const lanes = &threads_[static_cast<size_t>(thread.index / kLanes * kLanes)];
  std::array<void*, kLanes> operands;
  bool is_complete = true;
  for (int lane = 0; lane < kLanes && is_complete; ++lane) {
    is_complete = lanes[lane].state == State::kInWarpFunction;
    operands[static_cast<size_t>(lane)] = lanes[lane].operand;
  }
  if (is_complete) {
    if (!LanesAgree(thread.index / kLanes)) GiveUp();
    perform(operands);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (&lanes[lane] != &thread) Wake(lanes[lane]);
    }
    thread.state = State::kRunnable;
    return;
  }
  Fiber::Switch(thread.fiber, host_);
}

void Block::SyncWarp(const std::source_location& where) {
  const OwnCode own;
  CallInWarp(
      [](const std::array<void*, kLanes>& operands) {
        Block& block = *running_block;
        std::vector<int> members;
        for (void* operand : operands) members.push_back(static_cast<Thread*>(operand)->index);
        block.Join(members);
      },
      &self(), where);
}

void Block::Join(const std::vector<int>& members) {
  std::vector<int> joined(static_cast<size_t>(launch_.threads), 0);
  for (const int member : members) {
    Thread& thread = threads_[static_cast<size_t>(member)];
    std::vector<int>& known = known_[static_cast<size_t>(member)];
    if (thread.known_epoch == epoch_) {
      for (size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], known[i]);
    }
    joined[static_cast<size_t>(member)] = std::max(joined[static_cast<size_t>(member)], thread.clock);
  }
  for (const int member : members) {
    Thread& thread = threads_[static_cast<size_t>(member)];
    known_[static_cast<size_t>(member)] = joined;
    thread.known_epoch = epoch_;
    ++thread.clock;
    thread.interval = 0;
  }
}

// The order among blocks.

void Block::Fence() { self().has_fenced = true; }

void Block::MeetAt(const void* counter) {
  const OwnCode own;
  Acquire(counter);
  if (self().has_fenced) ReleaseAt(counter);
}

void Block::Acquire(const void* word) {
  const OwnCode own;
  for (const Release& release : releases_[word]) {
    if (release.block == block_number_) continue;
    const bool is_known = std::any_of(acquired_.begin(), acquired_.end(), [&](const Acquired& one) {
      return HasAcquired(one) && one.release.block == release.block &&
             one.release.epoch == release.epoch && one.release.thread == release.thread;
    });
    if (!is_known) acquired_.push_back({release, running_, epoch_});
  }
}

void Block::ReleaseAt(const void* word) {
  const OwnCode own;
  Release release = {block_number_, epoch_, running_, clock_};
  for (const Acquired& acquired : acquired_) {
    if (HasAcquired(acquired)) AddToClock(release.before, acquired.release);
  }
  releases_[word].push_back(std::move(release));
}

void Block::AddTo(BlockClock& clock) const {
  AddToClock(clock, {block_number_, std::numeric_limits<int>::max(), 0, clock_});
  for (const Acquired& acquired : acquired_) AddToClock(clock, acquired.release);
}

bool Block::IsAfter(const Interval& interval) const {
  if (interval.block != block_number_) {
    const auto is_in = [&](const BlockClock& clock) {
      const size_t block = static_cast<size_t>(interval.block);
      return block < clock.size() && interval.epoch < clock[block];
    };
    if (is_in(clock_)) return true;
    return std::any_of(acquired_.begin(), acquired_.end(), [&](const Acquired& acquired) {
      if (!HasAcquired(acquired)) return false;
      const Release& release = acquired.release;
      return is_in(release.before) ||
             (release.block == interval.block &&
              (interval.epoch < release.epoch ||
               (interval.epoch == release.epoch && interval.thread == release.thread)));
    });
  }
  const Thread& thread = self();
  if (interval.epoch < epoch_ || interval.thread == thread.index) return true;
  return thread.known_epoch == epoch_ &&
         known_[static_cast<size_t>(thread.index)][static_cast<size_t>(interval.thread)] >=
             interval.clock;
}

// Asynchronous copies.

void Block::BeginCopy(void* shared, const void* global, bool is_valid, const void* code) {
  const OwnCode own;
  constexpr const char* kTarget = "the target of an asynchronous copy";
  CheckAligned(shared, kCopyBytes, kTarget, code);
  CheckShared(shared, kCopyBytes, kTarget, code);
  if (is_valid) {
    CheckAligned(global, kCopyBytes, "the source of an asynchronous copy", code);
    Note(global, kCopyBytes, AccessKind::kRead, code);
  }
  const size_t offset = DeviceMemory::Get().OffsetOf(shared);
  if (!Shadow::Get().BeginCopy(offset, kCopyBytes, CurrentInterval(), *this)) GiveUp();
  self().open_copies.push_back({shared, global, is_valid});
}

void Block::CommitCopies() {
  const OwnCode own;
  self().copy_groups.push_back(std::exchange(self().open_copies, {}));
}

void Block::WaitForCopies(int max_pending) {
  const OwnCode own;
  std::vector<std::vector<Copy>>& groups = self().copy_groups;
  const size_t num_done =
      groups.size() - std::min(groups.size(), static_cast<size_t>(max_pending));
  // A copy belongs to no interval before the wait, so what waits begins one.
  self().interval = 0;
  for (size_t i = 0; i < num_done; ++i) {
    for (const Copy& copy : groups[i]) {
      if (copy.is_valid) {
        std::memcpy(copy.shared, copy.global, kCopyBytes);
      } else {
        std::memset(copy.shared, 0, kCopyBytes);
      }
      Shadow::Get().EndCopy(DeviceMemory::Get().OffsetOf(copy.shared), kCopyBytes,
                            CurrentInterval());
    }
  }
  groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(num_done));
}

// Accesses.

IntervalId Block::CurrentInterval() {
  Thread& thread = self();
  if (thread.interval == 0) {
    thread.interval = Shadow::Get().AddInterval({.block = block_number_,
                                                 .thread = thread.index,
                                                 .epoch = epoch_,
                                                 .clock = thread.clock});
  }
  return thread.interval;
}

bool Block::MayTouchHost(const void* p, size_t bytes, AccessKind kind) const {
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  if (self().fiber.Owns(address)) return true;
  if (kind != AccessKind::kRead) return false;
  const auto is_in = [&](const char* begin, const char* end_of) {
    return address >= reinterpret_cast<uintptr_t>(begin) &&
           address + bytes <= reinterpret_cast<uintptr_t>(end_of);
  };
  return is_in(args_.data(), args_.data() + args_.size()) || is_in(&__ehdr_start, &_end);
}

void Block::Note(const void* p, size_t bytes, AccessKind kind, const void* code) {
  const OwnCode own;
  code_ = code;
  const DeviceMemory& memory = DeviceMemory::Get();
  const size_t offset = memory.OffsetOf(p);
  if (offset >= DeviceMemory::kBytes) {
    if (MayTouchHost(p, bytes, kind)) return;
    AddReport(Fault::kOutOfBounds, "memory that is not the device's" + Where());
    GiveUp();
  }
  if (!memory.IsAllocated(offset, bytes)) {
    AddReport(Fault::kOutOfBounds,
              std::to_string(bytes) + " bytes at " + memory.Describe(offset) + Where());
    GiveUp();
  }
  const bool may_use = DeviceMemory::IsShared(offset) || gpus_[memory.OwnerOf(offset)];
  if (!may_use) {
    AddReport(Fault::kOutOfBounds, "memory of another GPU, without access: " +
                                       memory.Describe(offset) + Where());
    GiveUp();
  }
  if (!Shadow::Get().Note(offset, bytes, kind, CurrentInterval(), *this)) GiveUp();
}

void Block::CheckAligned(const void* p, size_t bytes, const char* what, const void* code) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) ReportMisaligned(p, what, code);
}

void Block::CheckShared(const void* p, size_t bytes, const char* what, const void* code) {
  code_ = code;
  const DeviceMemory& memory = DeviceMemory::Get();
  const size_t offset = memory.OffsetOf(p);
  if (DeviceMemory::IsShared(offset) && memory.IsAllocated(offset, bytes)) return;
  AddReport(Fault::kOutOfBounds, std::string(what) + " outside of shared memory" + Where());
  GiveUp();
}

void Block::ReportMisaligned(const void* p, const std::string& what, const void* code) {
  code_ = code;
  const DeviceMemory& memory = DeviceMemory::Get();
  const size_t offset = memory.OffsetOf(p);
  AddReport(Fault::kMisaligned,
            what + (offset < DeviceMemory::kBytes ? " at " + memory.Describe(offset) : "") +
                Where());
  GiveUp();
}

std::string Block::Where() const {
  char code[64];
  std::snprintf(code, sizeof(code), "%#zx",
                static_cast<size_t>(static_cast<const char*>(code_) - &__ehdr_start));
  Dl_info self = {};
  const bool is_known = dladdr(&__ehdr_start, &self) != 0;
  return ", by thread " + std::to_string(running_) + " of block (" + std::to_string(index_.x) +
         ", " + std::to_string(index_.y) + ", " + std::to_string(index_.z) + ") of " +
         KernelName(launch_.name) + " (addr2line -e " + (is_known ? self.dli_fname : "native_test") +
         " " + code + ")";
}

void Block::ReportDeadlock() {
  std::map<std::string, int> waiting;
  for (const Thread& thread : threads_) {
    if (thread.state != State::kDone) ++waiting[PlaceText(thread.where)];
  }
  std::string text = KernelName(launch_.name) + ": ";
  for (const auto& [place, count] : waiting) {
    text += std::to_string(count) + " threads wait at " + place + ", ";
  }
  is_given_up_ = true;
  AddReport(Fault::kDivergentBarrier,
            text + std::to_string(num_done_) + " of " + std::to_string(launch_.threads) +
                " have ended");
}

}  // namespace autoglm::simt
