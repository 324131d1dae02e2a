#include "simt/block.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "simt/device_memory.h"
#include "simt/report.h"

// The program's own first and last byte, its constants among them.
extern "C" const char __executable_start;
extern "C" const char end;

namespace autoglm::simt {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxGridSide = 65535;  // of y and z
constexpr size_t kCopyBytes = 16;

Block* running_block = nullptr;
thread_local bool runs_block = false;

// Stacks for as many threads as a block may have, each with a page below it that faults.
char* Stacks() {
  static char* const stacks = [] {
    void* data = mmap(nullptr, kMaxThreads * Fiber::kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    CHECK(data != MAP_FAILED);
    char* begin = static_cast<char*>(data);
    for (int i = 0; i < kMaxThreads; ++i) {
      CHECK(mprotect(begin + static_cast<size_t>(i) * Fiber::kStackBytes, 4096, PROT_NONE) == 0);
    }
    return begin;
  }();
  return stacks;
}

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

}  // namespace

Block* Block::Running() { return runs_block ? running_block : nullptr; }

Block::Block(const cuda::KernelLaunch& launch, uint64_t seed)
    : launch_(launch),
      args_(static_cast<const char*>(launch.args),
            static_cast<const char*>(launch.args) + launch.args_bytes),
      random_(seed),
      host_(nullptr, 0),
      known_(static_cast<size_t>(launch.threads)) {
  threads_.reserve(static_cast<size_t>(launch.threads));
  for (int i = 0; i < launch.threads; ++i) {
    threads_.emplace_back(Stacks() + static_cast<size_t>(i) * Fiber::kStackBytes, i);
  }
}

bool Block::Run(const cuda::KernelLaunch& launch, uint64_t seed) {
  const std::string fault = LaunchFault(launch);
  if (!fault.empty()) {
    AddReport(Fault::kLaunch, KernelName(launch.name) + ": " + fault);
    return false;
  }
  CHECK(running_block == nullptr);
  const DeviceMemory::Access access;
  Shadow::Get().BeginLaunch();
  DeviceMemory::Get().SetSharedBytes(launch.shared_bytes);
  Block block(launch, seed);
  running_block = &block;
  runs_block = true;
  const int num_blocks = launch.grid.x * launch.grid.y * launch.grid.z;
  std::vector<int> order(static_cast<size_t>(num_blocks));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), block.random_);
  bool is_whole = true;
  for (const int index : order) {
    const int row = index / launch.grid.x;
    is_whole = block.RunBlock({index % launch.grid.x, row % launch.grid.y, row / launch.grid.y});
    if (!is_whole) break;
  }
  runs_block = false;
  running_block = nullptr;
  return is_whole;
}

bool Block::RunBlock(cuda::Dim3 index) {
  Shadow::Get().BeginBlock();
  std::memset(DeviceMemory::Get().shared(), 0xff, launch_.shared_bytes);
  index_ = index;
  ++block_number_;
  epoch_ = 0;
  num_done_ = 0;
  num_at_barrier_ = 0;
  named_.clear();
  acquired_.clear();
  runnable_.clear();
  for (Thread& thread : threads_) {
    thread.Reset();
    thread.fiber.Begin(RunThread);
    runnable_.push_back(thread.index);
  }
  while (!runnable_.empty() && !is_given_up_) {
    const size_t chosen = random_() % runnable_.size();
    running_ = runnable_[chosen];
    runnable_[chosen] = runnable_.back();
    runnable_.pop_back();
    Fiber::Switch(host_, self().fiber);
  }
  if (!is_given_up_ && num_done_ < launch_.threads) ReportDeadlock();
  return !is_given_up_;
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
  self().state = State::kAtBlockBarrier;
  self().where = where;
  ++num_at_barrier_;
  ReleaseBlockBarrierIfComplete();
  Fiber::Switch(self().fiber, host_);
}

void Block::ReleaseBlockBarrierIfComplete() {
  if (num_at_barrier_ == 0 || num_at_barrier_ + num_done_ < launch_.threads) return;
  for (int warp = 0; warp < launch_.threads / kLanes; ++warp) {
    if (!LanesAgree(warp)) GiveUp();
  }
  num_at_barrier_ = 0;
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
  std::vector<Release>& releases = releases_[counter];
  for (const Release& release : releases) {
    if (release.block != block_number_) acquired_.push_back(release);
  }
  if (self().has_fenced) releases.push_back({block_number_, epoch_, running_});
}

bool Block::IsAfter(const Interval& interval) const {
  if (interval.block != block_number_) {
    return std::any_of(acquired_.begin(), acquired_.end(), [&](const Release& release) {
      return release.block == interval.block &&
             (interval.epoch < release.epoch ||
              (interval.epoch == release.epoch && interval.thread == release.thread));
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
  self().copy_groups.push_back(std::exchange(self().open_copies, {}));
}

void Block::WaitForCopies(int max_pending) {
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
  return is_in(args_.data(), args_.data() + args_.size()) || is_in(&__executable_start, &end);
}

void Block::Note(const void* p, size_t bytes, AccessKind kind, const void* code) {
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
                static_cast<size_t>(static_cast<const char*>(code_) - &__executable_start));
  return ", by thread " + std::to_string(running_) + " of block (" + std::to_string(index_.x) +
         ", " + std::to_string(index_.y) + ", " + std::to_string(index_.z) + ") of " +
         KernelName(launch_.name) + " (addr2line -e native_test " + code + ")";
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
