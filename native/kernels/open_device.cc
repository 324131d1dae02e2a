#include "kernels/open_device.h"

#include <string>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/dispatch.h"

namespace autoglm {
namespace {

Result<Device> OpenActiveCpu(const DeviceId& id) {
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) return active.status();
  return cpu::OpenCpu(active.value().chosen.kernels, id);
}

}  // namespace

Result<Device> OpenDevice(const DeviceId& id) {
  switch (id.kind) {
    case DeviceKind::kCpu:
      return OpenActiveCpu(id);
    case DeviceKind::kCuda:
      return Unsupported("device \"cuda:" + std::to_string(id.ordinal) +
                         "\": this build has no CUDA kernels; use cpu");
  }
  return Unsupported("a device of an unknown kind");
}

}  // namespace autoglm
