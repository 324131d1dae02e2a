#include "emulated_gpu/planned_faults.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "kernels/cuda/cuda_context.h"
#include "simt/emulated_gpu.h"
#include "simt/turn.h"

namespace autoglm {
namespace {

// Time in which others wait for a late kernel: 20 s of theirs, of which each pause takes one.
constexpr auto kLateness = std::chrono::seconds(2);
constexpr uint64_t kLongPauseNs = 1'000'000'000;

Ops plain;  // without faults

// Returns whether this fault was planned for the GPU, and is this caller's to bring about.
bool TakeFault(const char* fault, int gpu) {
  static const char* const file = std::getenv("EMULATED_GPU_FAULT");
  if (file == nullptr) return false;
  std::ifstream text(file);
  std::string name;
  std::string which;
  if (!(text >> name >> which) || name != fault) return false;
  return (which == "any" || which == std::to_string(gpu)) && unlink(file) == 0;
}

uint64_t SetPause(uint64_t nanoseconds) {
  const simt::Turn turn;
  return std::exchange(simt::Machine().nanoseconds_per_pause, nanoseconds);
}

void SetFullGpu(int gpu) {
  const simt::Turn turn;
  simt::Machine().full_gpu = gpu;
}

void BeforeLaunch(int gpu, const cuda::KernelLaunch& launch) {
  if (TakeFault("failure", gpu)) FailCheck("unspecified launch failure", __FILE__, __LINE__);
  if (!launch.meets_peers || !TakeFault("late", gpu)) return;
  const uint64_t before = SetPause(kLongPauseNs);
  std::this_thread::sleep_for(kLateness);
  SetPause(before);
}

void ReadUnwritten(cuda::Stream& stream) {
  const Result<DeviceBuffer> memory = stream.Allocate(64);
  CHECK(memory.ok());
  char values[64];
  stream.CopyOut(values, memory.value().data(), sizeof(values));
}

void Sample(OpsContext& context, const SampleOp& op) {
  cuda::CudaContext& cuda = cuda::Cuda(context);
  const int gpu = cuda.stream().ordinal();
  if (TakeFault("unwritten", gpu)) ReadUnwritten(cuda.stream());
  if (TakeFault("out-of-memory", gpu)) {
    cuda.sample_memory = DeviceBuffer();
    SetFullGpu(gpu);
  }
  plain.sample(context, op);
  SetFullGpu(-1);
}

}  // namespace

const Ops& WithPlannedFaults(const Ops& ops) {
  static const Ops faulty = [&] {
    plain = ops;
    simt::Machine().before_launch = BeforeLaunch;
    Ops copy = ops;
    copy.sample = Sample;
    return copy;
  }();
  return faulty;
}

}  // namespace autoglm
