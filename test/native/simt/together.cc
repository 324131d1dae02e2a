#include "simt/together.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/check.h"
#include "simt/device_memory.h"
#include "simt/report.h"
#include "simt/shadow.h"

namespace autoglm::simt {
namespace {

// Steps in a row that do no more than pause, for each block, after which others get the turn.
constexpr int kMaxPausesPerBlock = 64;

}  // namespace

Together& Together::Get() {
  static Together together;
  return together;
}

void Together::Launch(const cuda::Stream* stream, const cuda::KernelLaunch& launch,
                      Block::Gpus gpus, uint64_t seed, Turn& turn) {
  const Member* const member = Add(stream, launch, gpus, seed);
  if (member == nullptr || is_queued_) return;
  Turn::SayEnded();
  while (!member->is_done) {
    if (is_running_) {
      turn.Wait();
      continue;
    }
    is_running_ = true;
    RunUntil(member, turn);
    is_running_ = false;
    Turn::SayEnded();
  }
  members_.remove_if([&](const Member& one) { return &one == member; });
}

Together::Member* Together::Add(const cuda::Stream* stream, const cuda::KernelLaunch& launch,
                                Block::Gpus gpus, uint64_t seed) {
  std::string fault = LaunchFault(launch);
  // It would need a place of its own in the addresses of shared memory.
  if (launch.shared_bytes > 0) fault = "a launch that meets others and has shared memory";
  if (!fault.empty()) {
    AddReport(Fault::kLaunch, fault);
    return nullptr;
  }
  if (members_.empty()) {
    clocks_.clear();
    releases_.clear();
    num_blocks_ = 0;
    random_.seed(seed);
  }
  Member& member = members_.emplace_back();
  member.stream = stream;
  member.grid = launch.grid;
  member.num_threads = static_cast<size_t>(launch.threads);
  launch_of_shadow_.reset();
  std::vector<char*>& free = free_stacks_[member.num_threads];
  const int num_blocks = launch.grid.x * launch.grid.y * launch.grid.z;
  for (int i = 0; i < num_blocks; ++i) {
    if (free.empty()) free.push_back(Fiber::MapStacks(launch.threads, false));
    char* const stacks = free.back();
    free.pop_back();
    member.stacks.push_back(stacks);
    member.blocks.push_back(std::make_unique<Block>(launch, random_(), gpus, stacks, releases_));
  }
  return &member;
}

void Together::RunUntil(const Member* last, Turn& turn) {
  std::optional<DeviceMemory::Access> access(std::in_place);
  int num_pauses = 0;
  const auto goes_on = [&] {
    if (last != nullptr) return !last->is_done;
    return std::any_of(members_.begin(), members_.end(),
                       [](const Member& one) { return !one.is_done; });
  };
  while (goes_on()) {
    if (launch_of_shadow_ != Shadow::Get().num_launches()) {
      // Other launches have come, or have used the memory: what was done lies before what comes.
      Shadow::Get().BeginLaunch();
      launch_of_shadow_ = Shadow::Get().num_launches();
      for (Member& member : members_) {
        for (const std::unique_ptr<Block>& block : member.blocks) block->EndIntervals();
      }
    }
    num_pauses = Step() ? 0 : num_pauses + 1;
    if (num_pauses <= kMaxPausesPerBlock * num_blocks_) continue;
    access.reset();
    turn.Yield();
    access.emplace();
    num_pauses = 0;
  }
}

bool Together::Step() {
  std::vector<Member*> ready;
  std::set<const cuda::Stream*> busy;
  for (Member& member : members_) {
    if (!member.is_done && busy.insert(member.stream).second) ready.push_back(&member);
  }
  Member& member = *ready[random_() % ready.size()];
  if (!member.has_begun) BeginBlocks(member);
  std::unique_ptr<Block>& block = member.blocks[random_() % member.blocks.size()];
  const bool has_done_more = block->Step();
  if (block->is_given_up()) {
    GiveUp();
  } else if (block->is_done()) {
    block->AddTo(member.clock);
    std::swap(block, member.blocks.back());
    member.blocks.pop_back();
    if (member.blocks.empty()) End(member);
  }
  return has_done_more;
}

void Together::BeginBlocks(Member& member) {
  member.has_begun = true;
  const cuda::Dim3 grid = member.grid;
  for (size_t i = 0; i < member.blocks.size(); ++i) {
    const int index = static_cast<int>(i);
    const int row = index / grid.x;
    member.blocks[i]->Begin({index % grid.x, row % grid.y, row / grid.y}, num_blocks_++,
                            clocks_[member.stream]);
  }
}

void Together::End(Member& member) {
  member.is_done = true;
  clocks_[member.stream] = member.clock;
  for (char* const stacks : member.stacks) free_stacks_[member.num_threads].push_back(stacks);
  Turn::SayEnded();
}

void Together::GiveUp() {
  for (Member& member : members_) {
    if (member.is_done) continue;
    member.blocks.clear();
    End(member);
  }
}

LaunchQueue::LaunchQueue() {
  const Turn turn;
  CHECK(Together::Get().members_.empty());
  Together::Get().is_queued_ = true;
}

LaunchQueue::~LaunchQueue() {
  const Turn turn;
  CHECK(Together::Get().members_.empty());
  Together::Get().is_queued_ = false;
}

void LaunchQueue::Run() {
  Turn turn;
  Together::Get().RunUntil(nullptr, turn);
  Together::Get().members_.clear();
}

}  // namespace autoglm::simt
