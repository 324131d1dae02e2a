#include "model/checkpoint/random_weights.h"

#include "base/float_bits.h"

namespace autoglm {
namespace {

// The amplitude is small enough that no product grows through the layers.
constexpr float kAmplitude = 0.02f;

}  // namespace

RandomWeights::RandomWeights(int64_t max_elements) : values_(static_cast<size_t>(max_elements)) {
  // This is a linear congruential generator (Numerical Recipes): the numbers need variety, not
  // quality.
  uint32_t state = 1;
  for (uint16_t& value : values_) {
    state = state * 1664525u + 1013904223u;
    const float unit = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    value = FloatToBFloat16(unit * kAmplitude);
  }
}

Result<TensorView> RandomWeights::Find(ModelPart, const std::string& name,
                                       const std::vector<int64_t>& shape) const {
  const TensorView tensor = {values_.data(), Dtype::kBfloat16, shape};
  if (tensor.NumElements() > static_cast<int64_t>(values_.size())) {
    return InvalidRequest(WhereStored(ModelPart::kText, name) + " is larger than announced");
  }
  return tensor;
}

const StoredTensor* RandomWeights::FindStored(ModelPart, const std::string&) const {
  return nullptr;
}

std::string RandomWeights::WhereStored(ModelPart, const std::string& name) const {
  return "random weights: \"" + name + "\"";
}

}  // namespace autoglm
