#ifndef AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_
#define AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx2/image.h"

namespace autoglm::kernels {
namespace {

// Does the same as RowSums<2> with a row in each half of a register, whose products are added in one
// instruction.
struct TwoRowSums {
  static constexpr int kRows = 2;

  struct Weights512 {
    __m512i high;
    __m512i low;
  };

  __m512i high = _mm512_setzero_si512();
  __m512i low = _mm512_set1_epi64(1 << (kWeightFractionBits - 1));

  static Weights512 Weights(const int16_t* high, const int16_t* low) {
    return {Broadcast(high), Broadcast(low)};
  }
  [[gnu::always_inline]] void Add(const __m128i pixels[2], const Weights512& weights) {
    const __m256i order =
        _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                         2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    constexpr __mmask16 kSecondHalf = 0xff00;
    const __m512i both = _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(pixels[0]),
                                                     kSecondHalf, pixels[1]);
    const __m512i pairs = _mm512_shuffle_epi8(both, _mm512_broadcast_i64x4(order));
    high = _mm512_dpwssd_epi32(high, pairs, weights.high);
    low = _mm512_dpwssd_epi32(low, pairs, weights.low);
  }
  __m256i Pixel() const {
    const __m512i total = _mm512_add_epi32(_mm512_slli_epi32(high, kLowWeightBits), low);
    return _mm256_hadd_epi32(_mm512_castsi512_si256(total), _mm512_extracti64x4_epi64(total, 1));
  }

 private:
  static __m512i Broadcast(const int16_t* weights) {
    long long four;
    __builtin_memcpy(&four, weights, sizeof(four));
    return _mm512_set1_epi64(four);
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_
