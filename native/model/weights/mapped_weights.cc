#include "model/weights/mapped_weights.h"

#include <string>

namespace autoglm {

Result<WeightMemory::Place> MappedWeights::Take(const WeightEntry& entry) {
  const WeightEntry* const next = Next();
  if (next == nullptr || !(*next == entry)) {
    return InvalidCheckpoint(file_.path() + ": weight " + std::to_string(num_taken_) +
                             " is not what the model has there");
  }
  Count(entry);
  // Nothing is written where a weight is there already.
  return Place{const_cast<void*>(file_.data(num_taken_++)), true};
}

const WeightEntry* MappedWeights::Next() const {
  return num_taken_ < file_.num_weights() ? &file_.entry(num_taken_) : nullptr;
}

}  // namespace autoglm
