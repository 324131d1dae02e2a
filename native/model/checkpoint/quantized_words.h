#ifndef AUTOGLM_MODEL_QUANTIZED_WORDS_H_
#define AUTOGLM_MODEL_QUANTIZED_WORDS_H_

#include <array>
#include <cstdint>

#include "base/float_bits.h"
#include "model/checkpoint/safetensors.h"

// How the tensors of quantized matrices hold their numbers.

namespace autoglm {

inline constexpr int64_t kNibblesPerWord = 8;
inline constexpr int64_t kFp8Block = 128;
// In AWQ's words the column 8c + j lies at this nibble.
inline constexpr int64_t kAwqNibbles[kNibblesPerWord] = {0, 4, 1, 5, 2, 6, 3, 7};

inline int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Returns number i of a tensor of F32, BF16 or F16.
inline float ReadFloat(const StoredTensor& tensor, int64_t i) {
  if (tensor.dtype == "F32") return static_cast<const float*>(tensor.data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(tensor.data)[i];
  return tensor.dtype == "BF16" ? BFloat16ToFloat(bits) : Float16ToFloat(bits);
}

// Returns FP8 numbers by their bits.
const std::array<float, 256>& Fp8Floats();

// Returns word i of a tensor of I32.
inline uint32_t Word(const StoredTensor& tensor, int64_t i) {
  return static_cast<const uint32_t*>(tensor.data)[i];
}

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_QUANTIZED_WORDS_H_
