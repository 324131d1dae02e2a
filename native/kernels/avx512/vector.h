#ifndef AUTOGLM_KERNELS_AVX512_VECTOR_H_
#define AUTOGLM_KERNELS_AVX512_VECTOR_H_

#include <immintrin.h>

#include <cstdint>

namespace autoglm::kernels {
namespace {

// Sixteen float32 lanes: what the kernels of simd/ are written in. Functions that end in First
// touch `count` elements of memory, 0..kWidth; lanes beyond them read as zero.
struct Avx512Vector {
  using Float = __m512;
  using Pairs = __m512i;  // [kWidth] pairs of bfloat16, the earlier one in the low half

  static constexpr int kWidth = 16;
  static constexpr int kTileRows = 6;
  static constexpr int kTileVectors = 4;
  static constexpr bool kHasBfloat16Dot = false;

  static __mmask16 FirstLanes(int64_t count) {
    return static_cast<__mmask16>((1u << static_cast<unsigned>(count)) - 1u);
  }

  static Float Zero() { return _mm512_setzero_ps(); }
  static Float Set(float value) { return _mm512_set1_ps(value); }
  static Float Load(const float* p) { return _mm512_loadu_ps(p); }
  static Float LoadFirst(const float* p, int64_t count) {
    return _mm512_maskz_loadu_ps(FirstLanes(count), p);
  }
  static void Store(float* p, Float a) { _mm512_storeu_ps(p, a); }
  static void StoreFirst(float* p, Float a, int64_t count) {
    _mm512_mask_storeu_ps(p, FirstLanes(count), a);
  }

  static Float Add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float Subtract(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float Multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float Divide(Float a, Float b) { return _mm512_div_ps(a, b); }
  static Float MultiplyAdd(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  // c - a * b.
  static Float NegativeMultiplyAdd(Float a, Float b, Float c) { return _mm512_fnmadd_ps(a, b, c); }
  // The second operand in lanes in which either is NaN.
  static Float Max(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float Min(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float Abs(Float a) { return _mm512_abs_ps(a); }
  static Float CopySign(Float magnitude, Float sign) {
    const __m512 bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_and_ps(bit, sign), _mm512_andnot_ps(bit, magnitude));
  }
  static Float Round(Float a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a * 2^n for integral n, correct also if the result overflows or is subnormal.
  static Float ScaleByPowerOfTwo(Float a, Float n) { return _mm512_scalef_ps(a, n); }
  // b > c ? if_greater : otherwise; NaN compares false.
  static Float SelectGreater(Float b, Float c, Float if_greater, Float otherwise) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(b, c, _CMP_GT_OQ), otherwise, if_greater);
  }
  static Float KeepFirst(Float a, int64_t count, Float otherwise) {
    return _mm512_mask_blend_ps(FirstLanes(count), otherwise, a);
  }
  // Bit i is set if lane i of a is greater than, or equal to, that of b.
  static uint32_t GreaterBits(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static uint32_t EqualBits(Float a, Float b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }

  static float First(Float a) { return _mm512_cvtss_f32(a); }
  static float Sum(Float a) { return _mm512_reduce_add_ps(a); }
  static float Largest(Float a) { return _mm512_reduce_max_ps(a); }

  static Float Load(const uint16_t* bfloat16) {
    return Widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bfloat16)));
  }
  static Float LoadFirst(const uint16_t* bfloat16, int64_t count) {
    return Widen(_mm256_maskz_loadu_epi16(FirstLanes(count), bfloat16));
  }
  static void StoreBfloat16First(uint16_t* p, Float a, int64_t count) {
    _mm512_mask_cvtepi32_storeu_epi16(p, FirstLanes(count), RoundToBfloat16(a));
  }
  static Float LoadFloat16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Float LoadFloat16First(const uint16_t* p, int64_t count) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstLanes(count), p));
  }
  static void StoreFloat16First(uint16_t* p, Float a, int64_t count) {
    _mm256_mask_storeu_epi16(p, FirstLanes(count),
                             _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static Pairs LoadPairs(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static Float LowHalves(Pairs a) { return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)); }
  static Float HighHalves(Pairs a) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }

  // (2i, 2i + 1) lanes exchanged; and eight values at p, `count` of them read, each in two lanes.
  static Float SwapNeighbours(Float a) { return _mm512_permute_ps(a, 0xb1); }
  static Float LoadTwiceFirst(const float* p, int64_t count) {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(twice, LoadFirst(p, count));
  }
  // a * b - c in even lanes, a * b + c in odd ones.
  static Float MultiplySubtractAdd(Float a, Float b, Float c) {
    return _mm512_fmaddsub_ps(a, b, c);
  }

  // rows[i] lane j becomes rows[j] lane i: each stage exchanges squares of `size` lanes.
  static void Transpose(Float rows[kWidth]) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 4
    for (int size = 1; size < kWidth; size *= 2) {
      const __m512i bit = _mm512_set1_epi32(size);
      const __mmask16 upper = _mm512_test_epi32_mask(lanes, bit);
      // A lane of 16 or more names one of the second operand.
      const __m512i other =
          _mm512_or_si512(_mm512_xor_si512(lanes, bit), _mm512_set1_epi32(kWidth));
      const __m512i first = _mm512_mask_mov_epi32(lanes, upper, other);
      const __m512i second = _mm512_xor_si512(first, bit);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        if ((i & size) != 0) continue;
        const Float a = rows[i];
        const Float b = rows[i + size];
        rows[i] = _mm512_permutex2var_ps(a, first, b);
        rows[i + size] = _mm512_permutex2var_ps(a, second, b);
      }
    }
  }

 private:
  static Float Widen(__m256i bfloat16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16));
  }
  // To nearest, ties to even; a NaN gets its quiet bit, lest rounding turn it into infinity.
  static __m512i RoundToBfloat16(Float a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, bias), 16);
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), upper,
                                _mm512_set1_epi32(0x40));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VECTOR_H_
