#ifndef AUTOGLM_KERNELS_AVX512_BF16_VECTOR_H_
#define AUTOGLM_KERNELS_AVX512_BF16_VECTOR_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512_vnni/vector.h"

namespace autoglm::kernels {
namespace {

// Adds products of bfloat16 pairs in one instruction. It takes subnormal inputs as zero.
struct Avx512Bf16Vector : Avx512VnniVector {
  static constexpr bool kHasBfloat16Dot = true;

  // sum + a.low * b.low + a.high * b.high in each lane; b: one pair for all.
  static Float AddDots(Float sum, Pairs a, uint32_t b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a),
                            reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(b))));
  }

  // Does the same with a pair from memory, which no register need hold.
  static Float AddDotsAt(Float sum, Pairs a, const uint32_t* b) {
    asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(a), "m"(*b));
    return sum;
  }

  // The instruction takes subnormal numbers as zero, which those of Avx512Vector round; of all others, NaN
  // too, it makes the same bits.
  static void StoreBfloat16First(uint16_t* p, Float a, int64_t count) {
    constexpr int kSubnormal = 0x20;
    if (_mm512_fpclass_ps_mask(a, kSubnormal) != 0) {
      return Avx512VnniVector::StoreBfloat16First(p, a, count);
    }
    _mm256_mask_storeu_epi16(p, FirstLanes(count),
                             reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)));
  }

  // Takes subnormal numbers as zero.
  static Pairs RoundPairOfVectors(Float low, Float high) {
    return reinterpret_cast<Pairs>(_mm512_cvtne2ps_pbh(high, low));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_BF16_VECTOR_H_
