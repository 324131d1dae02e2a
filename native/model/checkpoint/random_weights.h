#ifndef AUTOGLM_MODEL_RANDOM_WEIGHTS_H_
#define AUTOGLM_MODEL_RANDOM_WEIGHTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/checkpoint/checkpoint.h"

namespace autoglm {

// Weights of any shape for benches: every tensor is a view of the same small random numbers, so
// that a shape of many gigabytes costs no more memory than its largest tensor.
class RandomWeights final : public TensorSource {
 public:
  explicit RandomWeights(int64_t max_elements);

  Result<TensorView> Find(ModelPart part, const std::string& name,
                          const std::vector<int64_t>& shape) const override;
  const StoredTensor* FindStored(ModelPart part, const std::string& name) const override;
  std::string WhereStored(ModelPart part, const std::string& name) const override;

 private:
  std::vector<uint16_t> values_;  // bfloat16
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_RANDOM_WEIGHTS_H_
