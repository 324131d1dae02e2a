#ifndef AUTOGLM_KERNELS_CUDA_RUNTIME_H_
#define AUTOGLM_KERNELS_CUDA_RUNTIME_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "device/memory.h"

namespace autoglm::cuda {

inline constexpr int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Extent of a grid of blocks, or a block's place in it.
struct Dim3 {
  int x = 1;
  int y = 1;
  int z = 1;
};

// What a kernel's launch depends on.
struct GpuProperties {
  int capability = 0;  // 10 * major + minor: 80, 86, 89, 90
  int num_multiprocessors = 0;
  size_t shared_bytes_per_block = 0;  // the most that a kernel may ask for
  uint64_t memory_bytes = 0;
};

struct GpuMemory {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};

class Stream;

// Kernels that a stream captured, with their arguments. They go before the stream does.
class Graph {
 public:
  struct State;

  // Counts `bytes` as taken of the stream's GPU while it lives.
  Graph(Stream& stream, std::unique_ptr<State> state, uint64_t bytes);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Memory of the GPU that it takes.
  uint64_t bytes() const { return bytes_; }
  State& state() { return *state_; }

 private:
  Stream& stream_;
  const std::unique_ptr<State> state_;
  const uint64_t bytes_;
};

// The one queue of a GPU: copies and kernels run in the order in which they were given. A Stream
// belongs to the thread that opened it. A GPU that fails a kernel or a copy cannot go on: that ends
// the process with what it said, as a broken invariant does.
//
// runtime.cc implements this over the CUDA runtime, and the emulator of the tests over itself.
class Stream {
 public:
  // Opens the queue of the GPU of this number.
  static Result<std::unique_ptr<Stream>> Open(int ordinal);
  // Returns the number of GPUs that the process may use.
  static int NumGpus();
  // Returns the name of a GPU that is the same in all processes.
  static std::string UuidOf(int ordinal);
  // Returns whether kernels of a GPU can be let read and write the memory of another one. It always
  // can its own.
  static bool CanAccess(int ordinal, int peer);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const GpuProperties& properties() const { return properties_; }
  int ordinal() const { return ordinal_; }
  GpuMemory ReadMemory() const;

  // Takes memory of the GPU, at a multiple of 256 bytes, with no values in it. The memory must be
  // given back while the stream is open, by the same thread.
  Result<DeviceBuffer> Allocate(size_t bytes);
  // Takes zeroed memory of the host, which kernels of every GPU of the process may read and write while
  // the host does. It is given back as other memory is.
  Result<DeviceBuffer> AllocateMapped(size_t bytes);
  // Takes memory of the GPU that other processes may open until it is given back. Refuses if there is
  // none, or if the driver lets no process open memory of another one.
  Result<SharedDeviceMemory> AllocateShared(size_t bytes);
  // Opens memory of another process, on this GPU or on one that it can access; giving it back closes
  // it. Refuses a handle that is unknown, this process's own or of a process that has ended. Copies may
  // read and write it, and its owner must not give it back meanwhile.
  Result<DeviceBuffer> OpenShared(const MemoryHandle& handle, size_t bytes);
  // Lets kernels of this GPU read and write all memory that streams of the other GPU take. Returns
  // whether the driver agrees.
  bool OpenAccess(int peer);
  // Loads all kernels of the program to the GPU. They are loaded at their first launch otherwise, which
  // may wait for what runs: for kernels that wait for those behind it.
  void LoadKernels();
  // Returns the bytes of what was taken and not given back, by this stream, or by all of the process's
  // for a GPU.
  uint64_t taken_bytes() const { return taken_bytes_; }
  static uint64_t TakenOf(int ordinal);

  // Copies from host memory, which the caller may change as soon as this returns.
  void CopyIn(void* target, const void* source, size_t bytes);
  // Copies to host memory, and waits for it and so for everything before it.
  void CopyOut(void* target, const void* source, size_t bytes);
  // Copies within the GPU, or from memory that was opened.
  void Copy(void* target, const void* source, size_t bytes);
  // Sets all bytes to zero.
  void Clear(void* target, size_t bytes);
  // Waits for everything that the stream was given.
  void Synchronize();

  // From here on, kernels are kept instead of run. Nothing but kernels may be asked for until
  // EndCapture, and none for the first time: what loads them would be asked for, too.
  void BeginCapture();
  // Returns the kernels since BeginCapture; refuses if the GPU has no memory for them.
  Result<std::unique_ptr<Graph>> EndCapture();
  // Runs the kernels of a graph, with the arguments that they were captured with.
  void Replay(Graph& graph);

  struct State;
  State& state() { return *state_; }

 private:
  friend class Graph;
  Stream(int ordinal, GpuProperties properties, std::unique_ptr<State> state);
  static void Free(void* data, size_t bytes, void* stream);

  const int ordinal_;
  const GpuProperties properties_;
  const std::unique_ptr<State> state_;
  uint64_t taken_bytes_ = 0;
};

// A kernel of the GPU's program, one object for each.
struct KernelEntry {
  explicit KernelEntry(const void* kernel) : entry(kernel), next(first) { first = this; }

  const void* const entry;
  const KernelEntry* const next;
  static inline const KernelEntry* first = nullptr;
};

// A kernel as Launch of simt.h gives it to the runtime.
struct KernelLaunch {
  const char* name;
  const void* entry;  // of the GPU's program
  const void* args;
  size_t args_bytes;
  int threads;  // of a block
  Dim3 grid;
  size_t shared_bytes;
  bool meets_peers;  // it waits for kernels of other GPUs
};

void LaunchKernel(Stream& stream, const KernelLaunch& launch);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_RUNTIME_H_
