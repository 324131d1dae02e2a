// The library of kernels for GPUs on the emulator, which the addon loads where
// AUTOGLM_CUDA_LIBRARY names it: the GPUs that the driver lists, which is a fake one in the tests. A
// fault that the emulator finds prints its report and ends the process.

#include <vector>

#include "base/check.h"
#include "device/gpu_driver.h"
#include "emulated_gpu/planned_faults.h"
#include "kernels/cuda/cuda_library.h"
#include "kernels/cuda/cuda_ops.h"
#include "simt/emulated_gpu.h"

namespace autoglm {
namespace {

// Makes the emulated GPUs those of the driver. They are all like the first one.
simt::EmulatedMachine& TakeMachineOfDriver() {
  const std::vector<GpuDescription> gpus = GpuDriver::OfProcess().ListGpus();
  CHECK(!gpus.empty());
  simt::EmulatedMachine& machine = simt::Machine();
  machine.num_gpus = static_cast<int>(gpus.size());
  machine.properties.capability = 10 * gpus[0].capability_major + gpus[0].capability_minor;
  machine.properties.memory_bytes = gpus[0].memory_bytes;
  return machine;
}

}  // namespace
}  // namespace autoglm

extern "C" __attribute__((visibility("default"))) void AutoglmOpenCuda(
    const autoglm::DeviceId& id, autoglm::Result<autoglm::Device>& device) {
  static const autoglm::simt::EmulatedMachine& machine = autoglm::TakeMachineOfDriver();
  CHECK(id.ordinal < machine.num_gpus);
  device = autoglm::cuda::OpenCuda(id);
  if (device.ok()) device.value().ops = &autoglm::WithPlannedFaults(*device.value().ops);
}
