#ifndef AUTOGLM_KERNELS_CUDA_GROUP_PEER_MEMORY_H_
#define AUTOGLM_KERNELS_CUDA_GROUP_PEER_MEMORY_H_

#include <cstdint>

#include "base/tensor_view.h"
#include "kernels/cuda/runtime.h"

namespace autoglm::cuda {

inline constexpr int kMaxPeers = 8;
// Blocks of a kernel that meets others. All of them run at once on the smallest GPU.
inline constexpr int kPeerBlocks = 16;
// Values that meet in one launch.
inline constexpr int64_t kPeerValues = int64_t{2} << 20;

// What a rank lets the others of its group read and write, in memory of its own GPU.
struct PeerMemory {
  // Epoch that a block of another rank has reached, by rank and block.
  uint64_t reached[kMaxPeers][kPeerBlocks];
  // Epoch of this rank's last launch, which each block keeps for itself: two more for each launch, equal
  // in all blocks between launches. So a launch has the same arguments each time, as in a graph.
  uint64_t epoch[kPeerBlocks];
  // Values that the rank offers, and how many columns those of a gather have, as each block saw it.
  // Launches take turns with two places: when a rank begins a launch, all have begun the one before,
  // so nobody reads what it overwrites.
  int64_t columns[2][kPeerBlocks];
  alignas(256) float values[2][kPeerValues];
};

// The ranks that meet by a launch of each.
struct PeerMeeting {
  PeerMemory* memory[kMaxPeers];  // by rank
  uint64_t* break_word;  // in memory of the host: not zero while the group is broken
  int num_ranks;
  int rank;
};

// Blocks that wait so long for another rank break the group.
inline constexpr uint64_t kPeerPatienceNs = uint64_t{20} * 1000 * 1000 * 1000;

// Set x [count], at a multiple of 16 bytes, to its sum over the ranks, in the order of ranks; at most
// kPeerValues. In one shot each rank sums all values. In two it sums a share of them, and gets the
// others' sums: less is read if there are more than two ranks, but the ranks wait twice.
void SumInOneShot(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count);
void SumInTwoShots(Stream& stream, const PeerMeeting& meeting, float* x, int64_t count);

// Puts the dense columns of all ranks side by side to `whole`, of which all ranks know the shape, and
// those that want it the data. It has at most kPeerValues values.
void GatherColumns(Stream& stream, const PeerMeeting& meeting, const MatrixView& part,
                   const MatrixView& whole);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GROUP_PEER_MEMORY_H_
