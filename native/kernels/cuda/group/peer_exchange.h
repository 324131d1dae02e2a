#ifndef AUTOGLM_KERNELS_CUDA_GROUP_PEER_EXCHANGE_H_
#define AUTOGLM_KERNELS_CUDA_GROUP_PEER_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/tensor_view.h"
#include "device/memory.h"
#include "kernels/cuda/group/peer_memory.h"
#include "kernels/cuda/runtime.h"
#include "kernels/group/device_group.h"

namespace autoglm::cuda {

// A GPU's place in a group whose GPUs read each other's memory. What it does is given to the stream,
// and nobody waits for it on the host. Launches of a broken group end soon, and before the group is
// repaired every stream must have been waited for.
class PeerExchange {
 public:
  // What is missing for GPUs to read each other's memory; empty: nothing.
  struct Access {
    std::string missing;
  };
  // Asks the driver for access between every two GPUs of the group, and opens it if all may have it.
  // All ranks call it, and have the same answer. Refuses in a broken group.
  static Result<Access> OpenAccess(Stream& stream, const GroupRank& place);

  // Takes the memory through which ranks meet. It is given up after every stream has been waited for.
  static Result<std::unique_ptr<PeerExchange>> Create(Stream& stream, const GroupRank& place);
  ~PeerExchange();
  PeerExchange(const PeerExchange&) = delete;
  PeerExchange& operator=(const PeerExchange&) = delete;

  // Tells the other ranks of the memory, and learns of theirs. All ranks call it before anything else.
  // Refuses in a broken group.
  Status Connect();
  // Prepares for what comes after the group is repaired. The stream has been waited for.
  void Restart();

  // Sets x [count] to its sum over the ranks, in their order, value by value.
  void Sum(float* x, int64_t count);
  // Puts dense columns side by side, as AllGatherOp says; all ranks give the shape of `whole`.
  void Gather(const MatrixView& part, const MatrixView& whole);

 private:
  PeerExchange(Stream& stream, const GroupRank& place) : stream_(stream), place_(place) {}
  Stream& stream_;
  const GroupRank place_;
  DeviceBuffer memory_;  // a PeerMemory
  DeviceBuffer break_word_;  // of rank 0
  PeerMeeting meeting_ = {};
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GROUP_PEER_EXCHANGE_H_
