// Streams of the CUDA runtime. The emulator of the tests has its own: this file is compiled where
// there is a CUDA compiler only.

#include "kernels/cuda/runtime.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/check.h"

namespace autoglm::cuda {
namespace {

// Host memory through which copies go, in two halves: one is filled while the other is copied.
constexpr size_t kStagingHalfBytes = size_t{8} << 20;
constexpr size_t kStagingAlignment = 64;
// Smaller allocations share memory with others, all of which a handle would open.
constexpr size_t kSharedAlignment = size_t{2} << 20;
// What a block may ask for without being allowed more first.
constexpr size_t kPlainSharedBytes = size_t{48} << 10;

// Ends the process if the GPU failed: nothing that it holds can be trusted then.
void CheckCuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const std::string text = std::string(what) + ": " + cudaGetErrorString(error);
  FailCheck(text.c_str(), __FILE__, __LINE__);
}

int Attribute(cudaDeviceAttr attribute, int ordinal) {
  int value = 0;
  CheckCuda(cudaDeviceGetAttribute(&value, attribute, ordinal), "read an attribute of the GPU");
  return value;
}

// Bytes that the process has taken of each GPU. No machine has more of them.
constexpr size_t kMaxGpus = 64;
std::atomic<uint64_t> taken_of_gpu[kMaxGpus];

static_assert(sizeof(MemoryHandle) == sizeof(cudaIpcMemHandle_t));

// Returns the refusal of what the process can do without.
Status SharingRefused(const char* what, cudaError_t error) {
  cudaGetLastError();  // or the next launch reports it again
  return EngineFailed(std::string(what) + ": " + cudaGetErrorString(error));
}

Status RefusalOf(int ordinal, cudaError_t error) {
  const std::string device = "device \"cuda:" + std::to_string(ordinal) + "\": ";
  if (error == cudaErrorMemoryAllocation) {
    return OutOfMemory(device + "it has no memory left for a process to begin with; end what else "
                                "runs on it, or use another GPU");
  }
  return EngineFailed(device + cudaGetErrorString(error));
}

}  // namespace

struct Stream::State {
  cudaStream_t stream = nullptr;
  char* staging = nullptr;  // [2][kStagingHalfBytes], pinned
  int half = 0;             // that is filled
  size_t used = 0;          // bytes of it
  cudaEvent_t copied[2] = {};  // when the copies of a half have ended
  // Kernels that have been allowed more shared memory.
  std::unordered_set<const void*> large_kernels;
  bool is_capturing = false;

  ~State() {
    if (stream != nullptr) cudaStreamSynchronize(stream);
    for (cudaEvent_t event : copied) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    if (staging != nullptr) cudaFreeHost(staging);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }

  cudaError_t Open() {
    cudaError_t error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (error != cudaSuccess) return error;
    for (cudaEvent_t& event : copied) {
      error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
      if (error != cudaSuccess) return error;
    }
    return cudaMallocHost(reinterpret_cast<void**>(&staging), 2 * kStagingHalfBytes);
  }

  // Returns room for at most a half's bytes, whose copy must be given to the stream before the next
  // call.
  char* Stage(size_t bytes) {
    if (bytes > kStagingHalfBytes - used) {
      CheckCuda(cudaEventRecord(copied[half], stream), "record an event");
      half = 1 - half;
      used = 0;
      CheckCuda(cudaEventSynchronize(copied[half]), "wait for a copy");
    }
    char* const place = staging + static_cast<size_t>(half) * kStagingHalfBytes + used;
    used += std::min((bytes + kStagingAlignment - 1) / kStagingAlignment * kStagingAlignment,
                     kStagingHalfBytes - used);
    return place;
  }
};

Result<std::unique_ptr<Stream>> Stream::Open(int ordinal) {
  cudaError_t error = cudaSetDevice(ordinal);
  if (error != cudaSuccess) return RefusalOf(ordinal, error);
  auto state = std::make_unique<State>();
  error = state->Open();
  if (error != cudaSuccess) return RefusalOf(ordinal, error);
  size_t free = 0;
  size_t total = 0;
  error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess) return RefusalOf(ordinal, error);
  const GpuProperties properties = {
      .capability = 10 * Attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
                    Attribute(cudaDevAttrComputeCapabilityMinor, ordinal),
      .num_multiprocessors = Attribute(cudaDevAttrMultiProcessorCount, ordinal),
      .shared_bytes_per_block =
          static_cast<size_t>(Attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal)),
      .memory_bytes = total};
  return std::unique_ptr<Stream>(new Stream(ordinal, properties, std::move(state)));
}

struct Graph::State {
  cudaGraphExec_t kernels = nullptr;

  // Those that still run end first.
  ~State() {
    if (kernels != nullptr) cudaGraphExecDestroy(kernels);
  }
};

Graph::Graph(Stream& stream, std::unique_ptr<State> state, uint64_t bytes)
    : stream_(stream), state_(std::move(state)), bytes_(bytes) {
  stream_.taken_bytes_ += bytes_;
  taken_of_gpu[static_cast<size_t>(stream_.ordinal()) % kMaxGpus] += bytes_;
}

Graph::~Graph() {
  stream_.taken_bytes_ -= bytes_;
  taken_of_gpu[static_cast<size_t>(stream_.ordinal()) % kMaxGpus] -= bytes_;
}

Stream::Stream(int ordinal, GpuProperties properties, std::unique_ptr<State> state)
    : ordinal_(ordinal), properties_(properties), state_(std::move(state)) {}

Stream::~Stream() = default;

int Stream::NumGpus() {
  int count = 0;
  CheckCuda(cudaGetDeviceCount(&count), "count the GPUs");
  return count;
}

std::string Stream::UuidOf(int ordinal) {
  cudaDeviceProp properties;
  CheckCuda(cudaGetDeviceProperties(&properties, ordinal), "read the properties of a GPU");
  // As nvidia-smi prints it: groups of 4, 2, 2, 2 and 6 bytes.
  std::string text = "GPU";
  for (size_t i = 0; i < sizeof(properties.uuid.bytes); ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<uint8_t>(properties.uuid.bytes[i]));
    text += digits;
  }
  return text;
}

bool Stream::CanAccess(int ordinal, int peer) {
  if (ordinal == peer) return true;
  int can = 0;
  CheckCuda(cudaDeviceCanAccessPeer(&can, ordinal, peer), "ask for access to another GPU");
  return can != 0;
}

bool Stream::OpenAccess(int peer) {
  if (ordinal_ == peer) return true;
  const cudaError_t error = cudaDeviceEnablePeerAccess(peer, 0);
  if (error == cudaSuccess) return true;
  cudaGetLastError();  // or the next launch reports it again
  return error == cudaErrorPeerAccessAlreadyEnabled;
}

GpuMemory Stream::ReadMemory() const {
  size_t free = 0;
  size_t total = 0;
  CheckCuda(cudaMemGetInfo(&free, &total), "read the memory of the GPU");
  return {free, total};
}

Result<DeviceBuffer> Stream::Allocate(size_t bytes) {
  CHECK(!state_->is_capturing);
  if (bytes == 0) return DeviceBuffer();
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next launch reports it again
    return OutOfMemory("cannot allocate " + std::to_string(bytes) + " bytes of the GPU");
  }
  CheckCuda(error, "allocate memory of the GPU");
  taken_bytes_ += bytes;
  taken_of_gpu[static_cast<size_t>(ordinal_) % kMaxGpus] += bytes;
  return DeviceBuffer(data, bytes, Free, this);
}

void Stream::Free(void* data, size_t bytes, void* stream) {
  CheckCuda(cudaFree(data), "free memory of the GPU");
  Stream& owner = *static_cast<Stream*>(stream);
  owner.taken_bytes_ -= bytes;
  taken_of_gpu[static_cast<size_t>(owner.ordinal_) % kMaxGpus] -= bytes;
}

Result<SharedDeviceMemory> Stream::AllocateShared(size_t bytes) {
  CHECK(bytes > 0);
  const size_t size = static_cast<size_t>(
      DivideUp(static_cast<int64_t>(bytes), static_cast<int64_t>(kSharedAlignment))) * kSharedAlignment;
  Result<DeviceBuffer> memory = Allocate(size);
  if (!memory.ok()) return memory.status();
  cudaIpcMemHandle_t handle;
  const cudaError_t error = cudaIpcGetMemHandle(&handle, memory.value().data());
  if (error != cudaSuccess) return SharingRefused("share memory of the GPU", error);
  SharedDeviceMemory shared;
  shared.memory = std::move(memory.value());
  std::memcpy(shared.handle.data(), &handle, sizeof(handle));
  return shared;
}

Result<DeviceBuffer> Stream::OpenShared(const MemoryHandle& handle, size_t bytes) {
  CHECK(!state_->is_capturing);
  cudaIpcMemHandle_t given;
  std::memcpy(&given, handle.data(), sizeof(given));
  void* data = nullptr;
  const cudaError_t error = cudaIpcOpenMemHandle(&data, given, cudaIpcMemLazyEnablePeerAccess);
  if (error != cudaSuccess) return SharingRefused("open memory of another process", error);
  const auto close = [](void* opened, size_t, void*) {
    CheckCuda(cudaIpcCloseMemHandle(opened), "close memory of another process");
  };
  return DeviceBuffer(data, bytes, close);
}

void Stream::LoadKernels() {
  for (const KernelEntry* kernel = KernelEntry::first; kernel != nullptr; kernel = kernel->next) {
    cudaFuncAttributes attributes;
    CheckCuda(cudaFuncGetAttributes(&attributes, kernel->entry), "load a kernel");
  }
}

uint64_t Stream::TakenOf(int ordinal) {
  return taken_of_gpu[static_cast<size_t>(ordinal) % kMaxGpus];
}

Result<DeviceBuffer> Stream::AllocateMapped(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return OutOfMemory("cannot allocate " + std::to_string(bytes) + " bytes of pinned host memory");
  }
  CheckCuda(error, "allocate host memory");
  std::memset(data, 0, bytes);
  const auto free = [](void* mapped, size_t, void*) {
    CheckCuda(cudaFreeHost(mapped), "free host memory");
  };
  return DeviceBuffer(data, bytes, free);
}

void Stream::CopyIn(void* target, const void* source, size_t bytes) {
  CHECK(!state_->is_capturing);  // the copy would be repeated from memory that has other values then
  for (size_t begin = 0; begin < bytes; begin += kStagingHalfBytes) {
    const size_t count = std::min(kStagingHalfBytes, bytes - begin);
    char* const staged = state_->Stage(count);
    std::memcpy(staged, static_cast<const char*>(source) + begin, count);
    CheckCuda(cudaMemcpyAsync(static_cast<char*>(target) + begin, staged, count,
                              cudaMemcpyHostToDevice, state_->stream),
              "copy to the GPU");
  }
}

void Stream::CopyOut(void* target, const void* source, size_t bytes) {
  // A piece is taken out of the staging memory while the next one comes there.
  size_t taken = 0;
  size_t taken_count = 0;
  char* taken_from = nullptr;
  const auto take = [&] {
    if (taken_count > 0) std::memcpy(static_cast<char*>(target) + taken, taken_from, taken_count);
  };
  for (size_t begin = 0; begin < bytes; begin += kStagingHalfBytes) {
    const size_t count = std::min(kStagingHalfBytes, bytes - begin);
    char* const staged = state_->Stage(count);
    Synchronize();
    CheckCuda(cudaMemcpyAsync(staged, static_cast<const char*>(source) + begin, count,
                              cudaMemcpyDeviceToHost, state_->stream),
              "copy from the GPU");
    take();
    taken = begin;
    taken_count = count;
    taken_from = staged;
  }
  Synchronize();
  take();
}

void Stream::Copy(void* target, const void* source, size_t bytes) {
  CHECK(!state_->is_capturing);
  CheckCuda(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, state_->stream),
            "copy memory of the GPU");
}

void Stream::Clear(void* target, size_t bytes) {
  CHECK(!state_->is_capturing);
  CheckCuda(cudaMemsetAsync(target, 0, bytes, state_->stream), "clear memory of the GPU");
}

void Stream::Synchronize() {
  CHECK(!state_->is_capturing);
  CheckCuda(cudaStreamSynchronize(state_->stream), "wait for the GPU");
}

// Other threads may use the GPU meanwhile, so what they ask for is not captured, and not refused.
void Stream::BeginCapture() {
  CHECK(!state_->is_capturing);
  CheckCuda(cudaStreamBeginCapture(state_->stream, cudaStreamCaptureModeThreadLocal),
            "capture kernels");
  state_->is_capturing = true;
}

// The driver takes the graph's memory when it is brought to the GPU, and tells nobody how much: that
// is what is less free then.
Result<std::unique_ptr<Graph>> Stream::EndCapture() {
  CHECK(state_->is_capturing);
  state_->is_capturing = false;
  cudaGraph_t captured = nullptr;
  CheckCuda(cudaStreamEndCapture(state_->stream, &captured), "capture kernels");
  const uint64_t free_before = ReadMemory().free_bytes;
  auto state = std::make_unique<Graph::State>();
  cudaError_t error = cudaGraphInstantiate(&state->kernels, captured, 0);
  CheckCuda(cudaGraphDestroy(captured), "destroy captured kernels");
  if (error == cudaSuccess) error = cudaGraphUpload(state->kernels, state_->stream);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next launch reports it again
    return OutOfMemory("cannot keep a graph of kernels on the GPU");
  }
  CheckCuda(error, "make a graph of kernels");
  const uint64_t free = ReadMemory().free_bytes;
  return std::make_unique<Graph>(*this, std::move(state), free_before - std::min(free_before, free));
}

void Stream::Replay(Graph& graph) {
  CheckCuda(cudaGraphLaunch(graph.state().kernels, state_->stream), "run a graph of kernels");
}

void LaunchKernel(Stream& stream, const KernelLaunch& launch) {
  Stream::State& state = stream.state();
  const bool is_large = launch.shared_bytes > kPlainSharedBytes;
  if (is_large && state.large_kernels.insert(launch.entry).second) {
    CheckCuda(cudaFuncSetAttribute(launch.entry, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(stream.properties().shared_bytes_per_block)),
              launch.name);
  }
  const dim3 grid(static_cast<unsigned>(launch.grid.x), static_cast<unsigned>(launch.grid.y),
                  static_cast<unsigned>(launch.grid.z));
  void* args[] = {const_cast<void*>(launch.args)};
  CheckCuda(cudaLaunchKernel(launch.entry, grid, dim3(static_cast<unsigned>(launch.threads)), args,
                             launch.shared_bytes, state.stream),
            launch.name);
}

}  // namespace autoglm::cuda
