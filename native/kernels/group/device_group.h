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
  // Sets `all` [num_ranks] to the ranks' values. Returns false in a broken group.
  bool Share(int rank, int64_t value, std::span<int64_t> all);

  // Lets all ranks leave the group's functions at once, because one of them has failed.
  void Break();
  // Returns whether a rank, or a device that writes to the word below, has broken the group.
  bool is_broken() const;
  // Makes a broken group whole again. No rank may be in one of its functions, and no device may be at
  // work for one.
  void Repair();
  // Returns how often the group was repaired.
  uint32_t num_repairs() const { return num_repairs_; }

  // Sets a word that is not zero while the group is broken, for devices that wait for each other
  // without their threads. A device may write to it what breaks the group. Its owner takes it away,
  // by null, before it is freed.
  void SetBreakWord(std::atomic<uint64_t>* word);

 private:
  // Runs `work` when all ranks have offered their values; nobody uses them once it returns.
  template <typename Work>
  void Together(const Work& work);

  RankBarrier barrier_;
  std::atomic<std::atomic<uint64_t>*> break_word_{nullptr};
  uint32_t num_repairs_ = 0;
  std::atomic<uint32_t> num_inside_{0};  // ranks that may use the values of others
  // What the ranks offer, by rank. Each writes its own place before a barrier.
  std::vector<float*> sums_;
  std::vector<MatrixView> parts_;
  std::vector<int64_t> values_;
};

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_GROUP_DEVICE_GROUP_H_
