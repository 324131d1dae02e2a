#include "kernels/cpu/cpu_ops.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"

namespace autoglm {

Result<Device> OpenDevice(const DeviceId& id) {
  if (id.kind == DeviceKind::kCuda) {
    return Unsupported("device \"cuda:" + std::to_string(id.ordinal) +
                       "\": this build has no CUDA kernels; use cpu");
  }
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) return active.status();
  return cpu::OpenCpu(active.value().chosen.kernels, id);
}

}  // namespace autoglm
