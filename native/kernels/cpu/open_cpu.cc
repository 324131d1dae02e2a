#include <memory>

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
  return ops;
}

}  // namespace

Device OpenCpu(const kernels::CpuKernels& kernels, const DeviceId& id) {
  static const Ops ops = MakeOps();
  return {&ops, std::make_unique<CpuContext>(kernels, id.cores)};
}

}  // namespace autoglm::cpu
