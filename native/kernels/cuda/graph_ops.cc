#include <memory>
#include <utility>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"

namespace autoglm::cuda {
namespace {

struct CudaGraph final : OpsGraph {
  explicit CudaGraph(std::unique_ptr<Graph> captured) : kernels(std::move(captured)) {}
  uint64_t bytes() const override { return kernels->bytes(); }

  const std::unique_ptr<Graph> kernels;
};

Result<std::unique_ptr<OpsGraph>> Capture(OpsContext& context, const std::function<void()>& run) {
  CHECK(context.group_rank == nullptr || Cuda(context).peers != nullptr);
  Stream& stream = Cuda(context).stream();
  stream.BeginCapture();
  run();
  Result<std::unique_ptr<Graph>> graph = stream.EndCapture();
  if (!graph.ok()) return graph.status();
  return std::unique_ptr<OpsGraph>(std::make_unique<CudaGraph>(std::move(graph.value())));
}

void Replay(OpsContext& context, OpsGraph& graph) {
  Cuda(context).stream().Replay(*static_cast<CudaGraph&>(graph).kernels);
}

}  // namespace

void SetGraphOps(Ops& ops) {
  ops.capture = Capture;
  ops.replay = Replay;
}

}  // namespace autoglm::cuda
