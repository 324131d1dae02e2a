#ifndef AUTOGLM_MODEL_MAPPED_WEIGHTS_H_
#define AUTOGLM_MODEL_MAPPED_WEIGHTS_H_

#include <cstddef>
#include <utility>

#include "model/weights/weight_cache_file.h"
#include "model/weights/weight_memory.h"

namespace autoglm {

// Weights that are pages of a file.
class MappedWeights final : public WeightMemory {
 public:
  explicit MappedWeights(WeightCacheFile file) : file_(std::move(file)) {}

  Result<Place> Take(const WeightEntry& entry) override;
  const WeightEntry* Next() const override;
  // Returns true if each weight of the file has been taken.
  bool IsAllTaken() const { return num_taken_ == file_.num_weights(); }

 private:
  const WeightCacheFile file_;
  size_t num_taken_ = 0;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MAPPED_WEIGHTS_H_
