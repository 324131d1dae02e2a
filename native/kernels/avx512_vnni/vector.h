#ifndef AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_
#define AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512/vector.h"

namespace autoglm::kernels {
namespace {

// Adds four products of bytes, or two of int16, in one instruction.
struct Avx512VnniVector : Avx512Vector {
  static constexpr bool kHasByteDot = true;

  static Pairs AddByteDots(Pairs sum, Pairs a, uint32_t x) {
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(static_cast<int>(x)), a);
  }
  // sum + the products of four uint8 of each lane with the four int8 of x.
  static Pairs AddUnsignedByteDots(Pairs sum, Pairs a, uint32_t x) {
    return _mm512_dpbusd_epi32(sum, a, _mm512_set1_epi32(static_cast<int>(x)));
  }
  static Pairs AddInt16Dots(Pairs sum, Pairs a, uint32_t b) {
    return _mm512_dpwssd_epi32(sum, a, _mm512_set1_epi32(static_cast<int>(b)));
  }

  // `count` bytes, at most 4 * kWidth, then zeros.
  static Pairs LoadBytesFirst(const uint8_t* p, int64_t count) {
    const uint64_t mask = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1u;
    return _mm512_maskz_loadu_epi8(mask, p);
  }
  // Bytes with 128 subtracted.
  static Pairs SignedBytes(Pairs a) { return _mm512_xor_si512(a, _mm512_set1_epi8(-128)); }
  // Four rows of bytes become the lanes of four, in order: lane i has byte i of each row.
  static void InterleaveBytes(Pairs rows[4]) {
    // Unpacking goes by quarters of a register, so each gets every fourth lane first.
    const __m512i spread = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) rows[i] = _mm512_permutexvar_epi32(spread, rows[i]);
    const __m512i low01 = _mm512_unpacklo_epi8(rows[0], rows[1]);
    const __m512i low23 = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i high01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
    const __m512i high23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
    rows[0] = _mm512_unpacklo_epi16(low01, low23);
    rows[1] = _mm512_unpackhi_epi16(low01, low23);
    rows[2] = _mm512_unpacklo_epi16(high01, high23);
    rows[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  static Pairs ShiftLanesLeft8(Pairs a) { return _mm512_slli_epi32(a, 8); }
  static Pairs AddToLanes(Pairs a, int32_t value) {
    return _mm512_add_epi32(a, _mm512_set1_epi32(value));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VNNI_VECTOR_H_
