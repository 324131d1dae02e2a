#ifndef AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_
#define AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512/vector.h"

namespace autoglm::kernels {
namespace {

// Adds four products of bytes, or two of int16, in one instruction.
struct Avx512VnniVector : Avx512Vector {
  static Pairs AddByteDots(Pairs sum, Pairs a, uint32_t x) {
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(static_cast<int>(x)), a);
  }
  static Pairs AddInt16Dots(Pairs sum, Pairs a, uint32_t b) {
    return _mm512_dpwssd_epi32(sum, a, _mm512_set1_epi32(static_cast<int>(b)));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_
