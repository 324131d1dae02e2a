#include <memory>
#include <utility>

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

Result<Device> OpenCpu(const kernels::CpuKernels& kernels, const DeviceId& id) {
  static const Ops ops = MakeOps();
  auto context = std::make_unique<CpuContext>(kernels, id);
  const size_t scratch_bytes = static_cast<size_t>(context->threads().num_threads()) *
                               kernels.attention.scratch_bytes;
  if (scratch_bytes > 0) {
    Result<DeviceBuffer> scratch = AllocateHostMemory(scratch_bytes);
    if (!scratch.ok()) return scratch.status();
    context->attention_scratch = std::move(scratch.value());
  }
  if (!id.cores.empty()) PinCallingThread(id.cores[0]);
  return Device{&ops, std::move(context)};
}

}  // namespace autoglm::cpu
