#ifndef AUTOGLM_KERNELS_SIMD_CONVERT_H_
#define AUTOGLM_KERNELS_SIMD_CONVERT_H_

#include "kernels/kernels.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

template <typename V>
void Float32ToBfloat16(const float* x, uint16_t* y, int64_t count) {
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    V::StoreBfloat16First(y + i, V::LoadFirst(x + i, n), n);
  });
}

template <typename V>
void Float32ToFloat16(const float* x, uint16_t* y, int64_t count) {
  ForEachVector<V>(
      count, [&](int64_t i, int64_t n) { V::StoreFloat16First(y + i, V::LoadFirst(x + i, n), n); });
}

template <typename V>
void Bfloat16ToFloat32(const uint16_t* x, float* y, int64_t count) {
  ForEachVector<V>(count,
                   [&](int64_t i, int64_t n) { V::StoreFirst(y + i, V::LoadFirst(x + i, n), n); });
}

template <typename V>
void Float16ToFloat32(const uint16_t* x, float* y, int64_t count) {
  ForEachVector<V>(
      count, [&](int64_t i, int64_t n) { V::StoreFirst(y + i, V::LoadFloat16First(x + i, n), n); });
}

template <typename V>
ConvertKernels Convert(const char* isa) {
  return {.isa = isa,
          .float32_to_bfloat16 = Float32ToBfloat16<V>,
          .float32_to_float16 = Float32ToFloat16<V>,
          .bfloat16_to_float32 = Bfloat16ToFloat32<V>,
          .float16_to_float32 = Float16ToFloat32<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_CONVERT_H_
