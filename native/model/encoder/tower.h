#ifndef AUTOGLM_MODEL_TOWER_H_
#define AUTOGLM_MODEL_TOWER_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "base/tensor_view.h"
#include "model/preprocess/image_preprocess.h"

namespace autoglm {

// Flag that cancels an item. The thread that cancels sets it; the thread that computes the item
// reads it.
using CancelFlag = std::atomic<bool>;

// An item on its way through a tower.
struct TowerItem {
  Grid grid;
  const CancelFlag* cancelled = nullptr;  // null: cannot be cancelled

  bool IsCancelled() const {
    return cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
  }
};

// Items that are multiplied together. Each attends to itself alone, so a row's bits do not depend
// on the items beside it.
struct TowerBatch {
  std::span<const TowerItem> items;
  const float* features;  // host: patches or mel frames, [sum of grid cells, feature values], dense

  // Returns true if all items of the batch are cancelled.
  bool IsCancelled() const {
    for (const TowerItem& item : items) {
      if (!item.IsCancelled()) return false;
    }
    return true;
  }
};

// Rows of one item among the states of its batch.
struct StateRange {
  int64_t begin = 0;
  int64_t count = 0;
};

enum class TowerOutcome { kDone, kCancelled };

// A vision or speech encoder on a device. One thread at a time calls it.
class Tower {
 public:
  virtual ~Tower() = default;

  // Lays out the activations of a batch; memory that was taken once is kept.
  virtual Status Reserve(std::span<const TowerItem> items) = 0;
  // Computes the states of the batch that Reserve has laid out: device memory [rows, state size],
  // valid until the next call. Reads the cancel flags within each layer.
  virtual TowerOutcome Encode(const TowerBatch& batch, MatrixView& states) = 0;
  // Returns the rows of the states that Encode computes for the patches or frames of item `index`.
  virtual StateRange StatesOf(std::span<const TowerItem> items, int64_t index) const = 0;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_TOWER_H_
