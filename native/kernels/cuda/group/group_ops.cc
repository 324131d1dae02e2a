#include <memory>
#include <span>
#include <string>
#include <utility>

#include "kernels/cuda/cuda_context.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/group/peer_exchange.h"
#include "kernels/group/device_group.h"

namespace autoglm::cuda {
namespace {

// Returns host memory for so many values, which keeps its place until a larger step.
float* Meeting(CudaContext& cuda, int64_t count) {
  if (cuda.meeting.size() < static_cast<size_t>(count)) {
    cuda.meeting.resize(static_cast<size_t>(count));
  }
  return cuda.meeting.data();
}

int64_t CopyOut(CudaContext& cuda, const MatrixView& x) {
  CHECK(x.stride == x.columns);
  const int64_t count = x.rows * x.columns;
  cuda.stream().CopyOut(Meeting(cuda, count), x.data, static_cast<size_t>(count) * sizeof(float));
  return count;
}

// GPUs of a group meet in each other's memory if every two of them can, and otherwise in memory of the
// host, which all have.
Result<GroupPath> JoinGroup(OpsContext& context, const GroupRank& place) {
  CudaContext& cuda = Cuda(context);
  context.group_rank = &place;
  const Result<PeerExchange::Access> access = PeerExchange::OpenAccess(cuda.stream(), place);
  if (!access.ok()) return access.status();
  if (!access.value().missing.empty()) {
    return GroupPath{"memory of the host, because " + access.value().missing +
                     "; so no step replays a graph of kernels"};
  }
  Result<std::unique_ptr<PeerExchange>> peers = PeerExchange::Create(cuda.stream(), place);
  if (!peers.ok()) return peers.status();
  // Even if a rank fails before all know of it, it stays until none uses it.
  cuda.peers = std::move(peers.value());
  const Status connected = cuda.peers->Connect();
  if (!connected.ok()) return connected;
  return GroupPath{.in_words = "peer access", .is_on_devices = true};
}

void Finish(OpsContext& context) {
  CudaContext& cuda = Cuda(context);
  cuda.stream().Synchronize();
  const bool is_broken = context.group_rank != nullptr && context.group_rank->group->is_broken();
  if (is_broken && cuda.peers != nullptr) cuda.peers->Restart();
}

void AllReduce(OpsContext& context, const AllReduceOp& op) {
  if (context.group_rank == nullptr) return;
  const auto& [group, rank] = *context.group_rank;
  CudaContext& cuda = Cuda(context);
  if (cuda.peers != nullptr) {
    CHECK(op.x.stride == op.x.columns);
    cuda.peers->Sum(op.x.data, op.x.rows * op.x.columns);
    return;
  }
  const size_t count = static_cast<size_t>(CopyOut(cuda, op.x));
  group->Sum(rank, std::span<float>(cuda.meeting.data(), count), cuda.threads());
  cuda.stream().CopyIn(op.x.data, cuda.meeting.data(), count * sizeof(float));
}

void AllGather(OpsContext& context, const AllGatherOp& op) {
  CHECK(context.group_rank != nullptr);
  const auto& [group, rank] = *context.group_rank;
  CudaContext& cuda = Cuda(context);
  if (cuda.peers != nullptr) {
    cuda.peers->Gather(op.part, op.whole);
    return;
  }
  const int64_t part = op.part.rows * op.part.columns;
  const int64_t whole = op.whole.data == nullptr ? 0 : op.whole.rows * op.whole.columns;
  CHECK(whole == 0 || op.whole.stride == op.whole.columns);
  float* const host_part = Meeting(cuda, part + whole);
  CopyOut(cuda, op.part);
  MatrixView host_whole = op.whole;
  if (whole != 0) host_whole.data = host_part + part;
  group->Gather(rank, DenseMatrix(host_part, op.part.rows, op.part.columns), host_whole,
                cuda.threads());
  if (whole != 0) {
    cuda.stream().CopyIn(op.whole.data, host_whole.data, static_cast<size_t>(whole) * sizeof(float));
  }
}

}  // namespace

void SetGroupOps(Ops& ops) {
  ops.join_group = JoinGroup;
  ops.finish = Finish;
  ops.all_reduce = AllReduce;
  ops.all_gather = AllGather;
}

}  // namespace autoglm::cuda
