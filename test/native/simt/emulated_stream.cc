// Streams of emulated GPUs: see kernels/cuda/runtime.h. What a stream is given is done at once.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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

// Memory that other processes may open is a file without a name, which lives as long as one of them
// has it: the bytes, and at the next page the token.
constexpr char kFileName[] = "emulated-gpu";
constexpr char kFileLink[] = "/memfd:emulated-gpu (deleted)";
constexpr size_t kFileAlignment = 4096;

// What a handle says.
struct SharedPlace {
  uint32_t process = 0;
  int32_t descriptor = -1;
  int32_t gpu = 0;
  uint64_t bytes = 0;
  std::array<uint8_t, 16> token = {};
};
static_assert(sizeof(SharedPlace) <= sizeof(MemoryHandle));

off_t TokenOffset(uint64_t bytes) {
  return static_cast<off_t>((bytes + kFileAlignment - 1) / kFileAlignment * kFileAlignment);
}

// Descriptors of the files of memory that this process shares.
std::map<void*, int> shared_files;

// Memory of other processes that is open here: beginning to bytes.
std::map<const char*, size_t> opened;

// Returns whether bytes lie in one of these stretches.
bool IsIn(const std::map<const char*, size_t>& stretches, const void* p, size_t bytes) {
  const char* const begin = static_cast<const char*>(p);
  const auto next = stretches.upper_bound(begin);
  if (next == stretches.begin()) return false;
  const auto [place, size] = *std::prev(next);
  return begin + bytes <= place + size;
}

// Opens the file of a place; -1 if there is none.
int OpenFileOf(const SharedPlace& place) {
  const std::string path = "/proc/" + std::to_string(place.process) + "/fd/" +
                           std::to_string(place.descriptor);
  char link[64];
  const ssize_t length = readlink(path.c_str(), link, sizeof(link));
  if (length < 0 || std::string(link, static_cast<size_t>(length)) != kFileLink) return -1;
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return -1;
  std::array<uint8_t, 16> token = {};
  const ssize_t count = pread(file, token.data(), token.size(), TokenOffset(place.bytes));
  if (count == static_cast<ssize_t>(token.size()) && token == place.token) return file;
  close(file);
  return -1;
}

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
  // What is written to memory of another process, that process knows.
  const size_t unwritten =
      kind == AccessKind::kRead && !IsIn(opened, p, bytes) ? Shadow::Get().FindUnwritten(offset, bytes) : bytes;
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

bool IsMapped(const void* p, size_t bytes) { return IsIn(mapped, p, bytes); }

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

int Stream::NumGpus() { return simt::Machine().num_gpus; }

std::string Stream::UuidOf(int ordinal) { return "GPU-emulated-" + std::to_string(ordinal); }

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

Result<SharedDeviceMemory> Stream::AllocateShared(size_t bytes) {
  CHECK(bytes > 0 && state_->captured == nullptr);
  const simt::Turn turn;
  simt::SharedPlace place = {.process = static_cast<uint32_t>(getpid()),
                             .descriptor = memfd_create(simt::kFileName, MFD_CLOEXEC),
                             .gpu = ordinal_,
                             .bytes = bytes};
  const off_t end = simt::TokenOffset(bytes);
  CHECK(place.descriptor >= 0);
  CHECK(getrandom(place.token.data(), place.token.size(), 0) ==
        static_cast<ssize_t>(place.token.size()));
  CHECK(pwrite(place.descriptor, place.token.data(), place.token.size(), end) ==
        static_cast<ssize_t>(place.token.size()));
  void* data = nullptr;
  if (bytes <= ReadMemory().free_bytes) {
    data = simt::DeviceMemory::Get().AllocateOf(place.descriptor, bytes, ordinal_);
  }
  if (data == nullptr) {
    close(place.descriptor);
    return OutOfMemory("cannot allocate " + std::to_string(bytes) + " bytes of an emulated GPU");
  }
  simt::shared_files[data] = place.descriptor;
  ++simt::num_allocations;
  simt::UsedBytes(*this) += bytes;
  taken_bytes_ += bytes;
  const auto free = [](void* memory, size_t size, void* stream) {
    {
      const simt::Turn turn;
      const auto file = simt::shared_files.find(memory);
      close(file->second);
      simt::shared_files.erase(file);
    }
    Free(memory, size, stream);
  };
  SharedDeviceMemory shared;
  shared.memory = DeviceBuffer(data, bytes, free, this);
  std::memcpy(shared.handle.data(), &place, sizeof(place));
  return shared;
}

// As CUDA, which gives no process its own memory a second time.
Result<DeviceBuffer> Stream::OpenShared(const MemoryHandle& handle, size_t bytes) {
  CHECK(state_->captured == nullptr);
  const simt::Turn turn;
  simt::SharedPlace place;
  std::memcpy(&place, handle.data(), sizeof(place));
  const auto refuse = [](const std::string& why) {
    return EngineFailed("open memory of another process: " + why);
  };
  if (place.process == static_cast<uint32_t>(getpid())) return refuse("it is this process's own");
  if (!CanAccess(ordinal_, place.gpu)) return refuse("peer access is not supported");
  const int file = place.bytes < bytes ? -1 : simt::OpenFileOf(place);
  if (file < 0) return refuse("invalid resource handle");
  void* const data = simt::DeviceMemory::Get().AllocateOf(file, bytes, ordinal_);
  close(file);
  if (data == nullptr) return refuse("no addresses are left");
  simt::opened[static_cast<char*>(data)] = bytes;
  const auto free = [](void* memory, size_t, void*) {
    const simt::Turn turn;
    simt::opened.erase(static_cast<char*>(memory));
    simt::DeviceMemory::Get().Free(memory);
  };
  return DeviceBuffer(data, bytes, free);
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
