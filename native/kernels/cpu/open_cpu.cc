#include <memory>

#include "device/pin_thread.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"

namespace autoglm::cpu {
namespace {

Ops MakeOps() {
  Ops ops = {};
  SetMemoryOps(ops);
  SetGemmOps(ops);
  SetRowOps(ops);
  SetAttentionOps(ops);
  SetConvolutionOps(ops);
  SetOutputOps(ops);
  return ops;
}

}  // namespace

Device OpenCpu(const kernels::CpuKernels& kernels, const DeviceId& id) {
  static const Ops ops = MakeOps();
  Device device = {&ops, std::make_unique<CpuContext>(kernels, id.cores)};
  if (!id.cores.empty()) PinCallingThread(id.cores[0]);
  return device;
}

}  // namespace autoglm::cpu
