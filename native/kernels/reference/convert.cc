#include <algorithm>
#include <cmath>
#include <limits>

#include "base/float_bits.h"
#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

template <typename From, typename To, To (*kConvert)(From)>
void ConvertAll(const From* x, To* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = kConvert(x[i]);
}

float RoundToBfloat16(float x) { return BFloat16ToFloat(FloatToBFloat16(x)); }

// Rounds a row to integers of magnitude kLargest at most, adds kOffset, and returns their scale.
template <typename T, int kLargest, int kOffset>
float Float32ToIntegers(const float* x, T* y, int64_t count) {
  constexpr float kMax = kLargest;
  float max = 0.0f;
  bool is_finite = true;
  for (int64_t i = 0; i < count; ++i) {
    max = std::max(max, std::abs(x[i]));
    is_finite = is_finite && std::isfinite(x[i]);
  }
  if (!is_finite) {
    std::fill(y, y + count, static_cast<T>(kOffset));
    return std::numeric_limits<float>::quiet_NaN();
  }
  // Below this the quotient overflows, and no product differs from zero.
  constexpr float kSmallest = kLargest < 128 ? 0x1p-119f : 0x1p-111f;
  const float inverse = max > kSmallest ? kMax / max : 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    y[i] = static_cast<T>(static_cast<int>(std::nearbyint(x[i] * inverse)) + kOffset);
  }
  return max / kMax;
}

FloatRange Float32Range(const float* x, int64_t count) {
  FloatRange range = {0.0f, 0.0f};
  bool is_finite = true;
  for (int64_t i = 0; i < count; ++i) {
    range.min = std::min(range.min, x[i]);
    range.max = std::max(range.max, x[i]);
    is_finite = is_finite && std::isfinite(x[i]);
  }
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  return is_finite ? range : FloatRange{kNan, kNan};
}

void Float32ToInt8(const RoundArgs& args) {
  for (int64_t i = 0; i < args.count; ++i) {
    const float value = std::nearbyint(args.x[i] * args.inverse);
    args.y[i] = static_cast<int8_t>(std::min(std::max(value, args.smallest), args.largest));
  }
}

}  // namespace

ConvertKernels Convert() {
  return {.isa = "reference",
          .float32_to_bfloat16 = ConvertAll<float, uint16_t, FloatToBFloat16>,
          .round_to_bfloat16 = ConvertAll<float, float, RoundToBfloat16>,
          .float32_to_float16 = ConvertAll<float, uint16_t, FloatToFloat16>,
          .bfloat16_to_float32 = ConvertAll<uint16_t, float, BFloat16ToFloat>,
          .float16_to_float32 = ConvertAll<uint16_t, float, Float16ToFloat>,
          .float32_to_uint8 = Float32ToIntegers<uint8_t, 127, 128>,
          .float32_to_int16 = Float32ToIntegers<int16_t, 32767, 0>,
          .float32_range = Float32Range,
          .float32_to_int8 = Float32ToInt8};
}

}  // namespace autoglm::kernels::reference
