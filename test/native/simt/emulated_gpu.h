#ifndef AUTOGLM_TEST_NATIVE_SIMT_EMULATED_GPU_H_
#define AUTOGLM_TEST_NATIVE_SIMT_EMULATED_GPU_H_

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/runtime.h"

namespace autoglm::simt {

// The most GPUs of a machine.
inline constexpr int kMaxGpus = 8;

// What cuda::Stream opens in the tests: so many GPUs, all alike.
struct EmulatedMachine {
  int num_gpus = 1;
  // The shared memory of the smaller GPUs of 8.6 and 8.9, so that kernels run on all.
  cuda::GpuProperties properties = {.capability = 89,
                                    .num_multiprocessors = 4,
                                    .shared_bytes_per_block = 101376,
                                    .memory_bytes = uint64_t{4} << 30};  // of each
  bool has_peer_access = true;  // between different GPUs
  uint64_t seed = 1;  // of the order in which blocks and threads run
  uint64_t nanoseconds_per_pause = 1000;  // that pass when a thread pauses
  int full_gpu = -1;  // that has no memory left, whatever was taken; -1: none
  // Is called by whoever gives a GPU a kernel, before it runs.
  void (*before_launch)(int gpu, const cuda::KernelLaunch& launch) = nullptr;
};

// Returns the settings, which a test may change before it opens a stream.
EmulatedMachine& Machine();

// Number of allocations of the GPUs' memory in this process.
uint64_t NumAllocations();

// Returns whether these bytes are memory of the host that kernels may use.
bool IsMapped(const void* p, size_t bytes);

// Number of launches in this process: a graph of operations is as long as what it adds.
uint64_t NumLaunches();

// Numbers of graphs that were captured in this process, and of their runs. Launches of a run count
// as launches.
uint64_t NumCaptures();
uint64_t NumReplays();

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_EMULATED_GPU_H_
