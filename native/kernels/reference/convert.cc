#include "base/float_bits.h"
#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

template <typename From, typename To, To (*kConvert)(From)>
void ConvertAll(const From* x, To* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = kConvert(x[i]);
}

}  // namespace

ConvertKernels Convert() {
  return {.isa = "reference",
          .float32_to_bfloat16 = ConvertAll<float, uint16_t, FloatToBFloat16>,
          .float32_to_float16 = ConvertAll<float, uint16_t, FloatToFloat16>,
          .bfloat16_to_float32 = ConvertAll<uint16_t, float, BFloat16ToFloat>,
          .float16_to_float32 = ConvertAll<uint16_t, float, Float16ToFloat>};
}

}  // namespace autoglm::kernels::reference
