#include <memory>
#include <utility>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/dispatch.h"

namespace autoglm::cuda {
namespace {

Ops MakeOps() {
  Ops ops = {};
  SetMemoryOps(ops);
  SetNormOps(ops);
  SetRowOps(ops);
  SetCacheOps(ops);
  SetGroupOps(ops);
  SetGraphOps(ops);
  SetGemmOps(ops);
  SetAttentionOps(ops);
  SetConvolutionOps(ops);
  SetSampleOps(ops);
  return ops;
}

}  // namespace

Result<Device> OpenCuda(const DeviceId& id) {
  static const Ops ops = MakeOps();
  if (!kernels::ActiveKernels().ok()) return kernels::ActiveKernels().status();
  Result<std::unique_ptr<Stream>> stream = Stream::Open(id.ordinal);
  if (!stream.ok()) return stream.status();
  auto context = std::make_unique<CudaContext>(std::move(stream.value()), id);
  Result<DeviceBuffer> scratch = Allocate(*context, kAttentionScratchBytes);
  if (!scratch.ok()) return scratch.status();
  context->attention_scratch = std::move(scratch.value());
  return Device{&ops, std::move(context)};
}

}  // namespace autoglm::cuda
