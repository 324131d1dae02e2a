// Streams of emulated GPUs: see kernels/cuda/runtime.h. What a stream is given is done at once.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/runtime.h"
#include "simt/block.h"
#include "simt/device_memory.h"
#include "simt/emulated_gpu.h"
#include "simt/report.h"
#include "simt/shadow.h"
#include "simt/together.h"
#include "simt/turn.h"

namespace autoglm {
namespace simt {
namespace {

uint64_t num_launches = 0;
uint64_t num_allocations = 0;
uint64_t num_captures = 0;
uint64_t num_replays = 0;
uint64_t used_bytes[kMaxGpus] = {};  // of each GPU

// Memory of the host that kernels may use: beginning to bytes.
std::map<const char*, size_t> mapped;

// Returns whether these bytes are allocated, and written if they are read; reports if not.
bool CheckCopied(const void* p, size_t bytes, AccessKind kind, const char* what) {
  const DeviceMemory& memory = DeviceMemory::Get();
  const size_t offset = memory.OffsetOf(p);
  const bool is_device = offset < DeviceMemory::kBytes && !DeviceMemory::IsShared(offset);
  if (!is_device || !memory.IsAllocated(offset, bytes)) {
    AddReport(Fault::kOutOfBounds, std::string(what) + " of " + std::to_string(bytes) + " bytes" +
                                       (is_device ? " at " + memory.Describe(offset)
                                                  : " of memory that is not the device's"));
    return false;
  }
  const size_t unwritten =
      kind == AccessKind::kRead ? Shadow::Get().FindUnwritten(offset, bytes) : bytes;
  if (unwritten == bytes) return true;
  AddReport(Fault::kNeverWritten, std::string(what) + " of " + std::to_string(bytes) +
                                      " bytes reads " + memory.Describe(offset + unwritten));
  return false;
}

uint64_t& UsedBytes(const cuda::Stream& stream) {
  return used_bytes[static_cast<size_t>(stream.ordinal())];
}

void NoteWritten(void* p, size_t bytes) {
  Shadow::Get().WriteByHost(DeviceMemory::Get().OffsetOf(p), bytes);
}

}  // namespace

EmulatedMachine& Machine() {
  static EmulatedMachine machine;
  return machine;
}

uint64_t NumAllocations() { return num_allocations; }

uint64_t NumLaunches() { return num_launches; }

uint64_t NumCaptures() { return num_captures; }

uint64_t NumReplays() { return num_replays; }

bool IsMapped(const void* p, size_t bytes) {
  const char* const begin = static_cast<const char*>(p);
  const auto next = mapped.upper_bound(begin);
  if (next == mapped.begin()) return false;
  const auto [place, size] = *std::prev(next);
  return begin + bytes <= place + size;
}

}  // namespace simt

namespace cuda {

namespace {

// A launch that is kept: its arguments are copied, as a GPU copies them.
struct KeptLaunch {
  KernelLaunch launch;
  std::unique_ptr<std::max_align_t[]> args;
};

// What a graph is counted to take for each of its kernels.
constexpr uint64_t kBytesOfKernel = 1024;

}  // namespace

struct Graph::State {
  std::vector<KeptLaunch> launches;
};

Graph::Graph(Stream& stream, std::unique_ptr<State> state, uint64_t bytes)
    : stream_(stream), state_(std::move(state)), bytes_(bytes) {
  simt::UsedBytes(stream_) += bytes_;
  stream_.taken_bytes_ += bytes_;
}

Graph::~Graph() {
  simt::UsedBytes(stream_) -= bytes_;
  stream_.taken_bytes_ -= bytes_;
}

struct Stream::State {
  simt::Block::Gpus gpus;  // whose memory kernels may use
  std::unique_ptr<Graph::State> captured;  // null: launches are run
};

Result<std::unique_ptr<Stream>> Stream::Open(int ordinal) {
  CHECK(ordinal < simt::Machine().num_gpus && ordinal < simt::kMaxGpus);
  auto state = std::make_unique<State>();
  state->gpus.set(static_cast<size_t>(ordinal));
  return std::unique_ptr<Stream>(
      new Stream(ordinal, simt::Machine().properties, std::move(state)));
}

Stream::Stream(int ordinal, GpuProperties properties, std::unique_ptr<State> state)
    : ordinal_(ordinal), properties_(properties), state_(std::move(state)) {}

Stream::~Stream() = default;

bool Stream::CanAccess(int ordinal, int peer) {
  return ordinal == peer || simt::Machine().has_peer_access;
}

bool Stream::OpenAccess(int peer) {
  if (!CanAccess(ordinal_, peer)) return false;
  state_->gpus.set(static_cast<size_t>(peer));
  return true;
}

Result<DeviceBuffer> Stream::AllocateMapped(size_t bytes) {
  const simt::Turn turn;
  void* const data = std::calloc(1, bytes);
  CHECK(data != nullptr);
  simt::mapped[static_cast<char*>(data)] = bytes;
  const auto free = [](void* memory, size_t, void*) {
    const simt::Turn turn;
    simt::mapped.erase(static_cast<char*>(memory));
    std::free(memory);
  };
  return DeviceBuffer(data, bytes, free);
}

void Stream::LoadKernels() {}

uint64_t Stream::TakenOf(int ordinal) { return simt::used_bytes[static_cast<size_t>(ordinal)]; }

GpuMemory Stream::ReadMemory() const {
  const uint64_t total = simt::Machine().properties.memory_bytes;
  return {total - std::min(total, simt::UsedBytes(*this)), total};
}

Result<DeviceBuffer> Stream::Allocate(size_t bytes) {
  CHECK(state_->captured == nullptr);
  if (bytes == 0) return DeviceBuffer();
  const simt::Turn turn;
  void* data = nullptr;
  const bool has_room =
      ordinal_ != simt::Machine().full_gpu && bytes <= ReadMemory().free_bytes;
  if (has_room) data = simt::DeviceMemory::Get().Allocate(bytes, ordinal_);
  if (data == nullptr) {
    return OutOfMemory("cannot allocate " + std::to_string(bytes) + " bytes of an emulated GPU");
  }
  ++simt::num_allocations;
  simt::UsedBytes(*this) += bytes;
  taken_bytes_ += bytes;
  return DeviceBuffer(data, bytes, Free, this);
}

void Stream::Free(void* data, size_t bytes, void* stream) {
  const simt::Turn turn;
  simt::DeviceMemory::Get().Free(data);
  Stream& owner = *static_cast<Stream*>(stream);
  simt::UsedBytes(owner) -= bytes;
  owner.taken_bytes_ -= bytes;
}

void Stream::CopyIn(void* target, const void* source, size_t bytes) {
  CHECK(state_->captured == nullptr);
  if (bytes == 0) return;
  const simt::Turn turn;
  if (!simt::CheckCopied(target, bytes, simt::AccessKind::kWrite, "a copy in")) return;
  const simt::DeviceMemory::Access access;
  std::memcpy(target, source, bytes);
  simt::NoteWritten(target, bytes);
}

void Stream::CopyOut(void* target, const void* source, size_t bytes) {
  CHECK(state_->captured == nullptr);
  if (bytes == 0) return;
  const simt::Turn turn;
  if (!simt::CheckCopied(source, bytes, simt::AccessKind::kRead, "a copy out")) return;
  const simt::DeviceMemory::Access access;
  std::memcpy(target, source, bytes);
}

void Stream::Copy(void* target, const void* source, size_t bytes) {
  CHECK(state_->captured == nullptr);
  if (bytes == 0) return;
  const simt::Turn turn;
  if (!simt::CheckCopied(source, bytes, simt::AccessKind::kRead, "a copy")) return;
  if (!simt::CheckCopied(target, bytes, simt::AccessKind::kWrite, "a copy")) return;
  const simt::DeviceMemory::Access access;
  std::memcpy(target, source, bytes);
  simt::NoteWritten(target, bytes);
}

void Stream::Clear(void* target, size_t bytes) {
  CHECK(state_->captured == nullptr);
  if (bytes == 0) return;
  const simt::Turn turn;
  if (!simt::CheckCopied(target, bytes, simt::AccessKind::kWrite, "a clear")) return;
  const simt::DeviceMemory::Access access;
  std::memset(target, 0, bytes);
  simt::NoteWritten(target, bytes);
}

void Stream::Synchronize() { CHECK(state_->captured == nullptr); }

void Stream::BeginCapture() {
  CHECK(state_->captured == nullptr);
  state_->captured = std::make_unique<Graph::State>();
}

Result<std::unique_ptr<Graph>> Stream::EndCapture() {
  CHECK(state_->captured != nullptr);
  const simt::Turn turn;
  std::unique_ptr<Graph::State> captured = std::move(state_->captured);
  const uint64_t bytes = captured->launches.size() * kBytesOfKernel;
  if (bytes > ReadMemory().free_bytes || ordinal_ == simt::Machine().gpu_without_graphs) {
    return OutOfMemory("cannot keep a graph of kernels");
  }
  ++simt::num_captures;
  return std::make_unique<Graph>(*this, std::move(captured), bytes);
}

void Stream::Replay(Graph& graph) {
  CHECK(state_->captured == nullptr);
  {
    const simt::Turn turn;
    ++simt::num_replays;
  }
  for (const KeptLaunch& kept : graph.state().launches) LaunchKernel(*this, kept.launch);
}

void LaunchKernel(Stream& stream, const KernelLaunch& launch) {
  const auto before_launch = simt::Machine().before_launch;
  if (before_launch != nullptr) before_launch(stream.ordinal(), launch);
  simt::Turn turn;
  if (Graph::State* const captured = stream.state().captured.get(); captured != nullptr) {
    KeptLaunch kept = {launch, std::make_unique<std::max_align_t[]>(
                                   launch.args_bytes / sizeof(std::max_align_t) + 1)};
    std::memcpy(kept.args.get(), launch.args, launch.args_bytes);
    kept.launch.args = kept.args.get();
    captured->launches.push_back(std::move(kept));
    return;
  }
  if (launch.shared_bytes > stream.properties().shared_bytes_per_block) {
    simt::AddReport(simt::Fault::kLaunch,
                    std::to_string(launch.shared_bytes) + " bytes of shared memory, of " +
                        std::to_string(stream.properties().shared_bytes_per_block) + ": " +
                        launch.name);
    return;
  }
  ++simt::num_launches;
  const uint64_t seed = simt::Machine().seed + simt::num_launches;
  if (launch.meets_peers) {
    simt::Together::Get().Launch(&stream, launch, stream.state().gpus, seed, turn);
  } else {
    simt::Block::Run(launch, seed, stream.state().gpus);
  }
}

}  // namespace cuda
}  // namespace autoglm
