#ifndef AUTOGLM_KERNELS_GROUP_DEVICE_GROUP_H_
#define AUTOGLM_KERNELS_GROUP_DEVICE_GROUP_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/tensor_view.h"
#include "device/thread_pool.h"
#include "kernels/group/rank_barrier.h"

namespace autoglm {

class DeviceGroup;

// A device's place in its group.
struct GroupRank {
  DeviceGroup* group;
  int rank;
};

// Devices that compute one model together: ranks 0 to num_ranks - 1, each with a thread of its own,
// which all call the same functions in the same order. Values meet in memory of the host that all
// threads see: a CPU's are there already, another device brings them. Sums run over the ranks in
// their order, value by value, so that their bits depend neither on time nor on a value's neighbours.
class DeviceGroup {
 public:
  explicit DeviceGroup(int num_ranks);

  int num_ranks() const { return static_cast<int>(sums_.size()); }

  // Sets `values`, as many on every rank, to their sums over the ranks. `threads` are the rank's.
  // Nothing happens to them in a broken group.
  void Sum(int rank, std::span<float> values, ThreadPool& threads);
  // Puts the columns of all ranks side by side, in the order of ranks, to `whole`: as many rows as
  // each part, as many columns as all together. A rank whose `whole` has no data offers its part only.
  void Gather(int rank, const MatrixView& part, const MatrixView& whole, ThreadPool& threads);

  // Returns the least of the ranks' values; of a broken group, the rank's own.
  int64_t Least(int rank, int64_t value);

  // Lets all ranks leave the group's functions at once, because one of them has failed.
  void Break() { barrier_.Break(); }
  // Makes a broken group whole again. No rank may be in one of its functions.
  void Repair() { barrier_.Repair(); }

 private:
  // Runs `work` when all ranks have offered their values; nobody uses them once it returns.
  template <typename Work>
  void Together(const Work& work);

  RankBarrier barrier_;
  std::atomic<uint32_t> num_inside_{0};  // ranks that may use the values of others
  // What the ranks offer, by rank. Each writes its own place before a barrier.
  std::vector<float*> sums_;
  std::vector<MatrixView> parts_;
  std::vector<int64_t> values_;
};

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_GROUP_DEVICE_GROUP_H_
