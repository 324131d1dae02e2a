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
  static constexpr int kDotTileRows = 6;
  static constexpr int kLaneTileRows = 5;
  static constexpr bool kWidensBytes = false;
  static constexpr bool kHasBfloat16Dot = false;
  static constexpr bool kHasByteDot = false;
  static constexpr bool kHasNibbleDigits = false;

  static __mmask16 FirstLanes(int64_t count) {
    return static_cast<__mmask16>((1u << static_cast<unsigned>(count)) - 1u);
  }

  static __mmask32 FirstHalves(int64_t count) {
    return static_cast<__mmask32>((uint64_t{1} << static_cast<unsigned>(count)) - 1u);
  }

  // Keeps a sum in its register. The compiler would reorder the additions of a tile, and sums that wait
  // for each other would need more registers than there are.
  static Float Pin(Float sum) {
    asm("" : "+v"(sum));
    return sum;
  }
  static Pairs Pin(Pairs sum) {
    asm("" : "+v"(sum));
    return sum;
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
  // sum + a * b in the register of the sum.
  static Float AddProduct(Float sum, Float a, Float b) { return Pin(MultiplyAdd(a, b, sum)); }
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
  // The low half of each lane: to nearest, ties to even; a NaN gets its quiet bit, lest rounding turn it
  // into infinity.
  static Pairs RoundToBfloat16(Float a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, bias), 16);
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), upper,
                                _mm512_set1_epi32(0x40));
  }
  static void StoreBfloat16First(uint16_t* p, Float a, int64_t count) {
    _mm256_mask_storeu_epi16(p, FirstLanes(count), _mm512_cvtepi32_epi16(RoundToBfloat16(a)));
  }
  // The 32 bfloat16 of `low` and `high`, in order.
  static Pairs RoundPairOfVectors(Float low, Float high) {
    const __m256i first = _mm512_cvtepi32_epi16(RoundToBfloat16(low));
    const __m256i second = _mm512_cvtepi32_epi16(RoundToBfloat16(high));
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
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
  static Pairs ReloadPairs(const uint32_t* p) { return LoadPairs(p); }  // registers suffice
  static void StoreLanes(uint32_t* p, Pairs a) { _mm512_storeu_si512(p, a); }
  static Float LowHalves(Pairs a) { return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)); }
  static Float HighHalves(Pairs a) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }

  // Lanes of four int8 or eight int4: see simd/packed_lanes.h.
  static Float ConvertLanes(Pairs a) { return _mm512_cvtepi32_ps(a); }
  static Float LanesAsBits(Pairs a) { return _mm512_castsi512_ps(a); }
  static Pairs BitsAsLanes(Float a) { return _mm512_castps_si512(a); }
  template <int kByte>
  static Float SignedByte(Pairs a) {
    return ConvertLanes(_mm512_srai_epi32(_mm512_slli_epi32(a, 24 - 8 * kByte), 24));
  }
  // The lowest four bits of a lane shifted right are the index of the number that they stand for.
  template <int kShift>
  static Float SignedNibble(Pairs a) {
    const __m512 numbers =
        _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
    return _mm512_permutexvar_ps(_mm512_srli_epi32(a, kShift), numbers);
  }
  // The int4 at bit kShift of the low and high half of each lane as a pair of bfloat16: the lowest
  // five bits of a half are an index, of which the upper one makes no difference.
  template <int kShift>
  static Pairs NibblePairs(Pairs a) {
    const __m256i numbers = _mm256_setr_epi16(
        0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0,  // 0, 1, ... 7
        static_cast<int16_t>(0xc100), static_cast<int16_t>(0xc0e0), static_cast<int16_t>(0xc0c0),
        static_cast<int16_t>(0xc0a0), static_cast<int16_t>(0xc080), static_cast<int16_t>(0xc040),
        static_cast<int16_t>(0xc000), static_cast<int16_t>(0xbf80));  // -8, -7, ... -1
    return _mm512_permutexvar_epi16(_mm512_srli_epi16(a, kShift),
                                    _mm512_broadcast_i64x4(numbers));
  }
  // sum + the products of four int8 of each lane with the four uint8 of x.
  static Pairs AddByteDots(Pairs sum, Pairs a, uint32_t x) {
    const __m512i bytes = _mm512_set1_epi32(static_cast<int>(x));
    const __m512i even = _mm512_madd_epi16(_mm512_srai_epi16(_mm512_slli_epi16(a, 8), 8),
                                           _mm512_and_si512(bytes, _mm512_set1_epi16(0xff)));
    const __m512i odd =
        _mm512_madd_epi16(_mm512_srai_epi16(a, 8), _mm512_srli_epi16(bytes, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
  }
  // The int4 at bit kShift of the low and high half of each lane as a pair of int16.
  template <int kShift>
  static Pairs NibbleInt16(Pairs a) {
    return _mm512_srai_epi16(_mm512_slli_epi16(a, 12 - kShift), 12);
  }
  // sum + a.low * b.low + a.high * b.high in each lane of int16; b: one pair for all.
  static Pairs AddInt16Dots(Pairs sum, Pairs a, uint32_t b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, _mm512_set1_epi32(static_cast<int>(b))));
  }
  // `count` halves, then zeros.
  static Pairs LoadHalvesFirst(const uint16_t* p, int64_t count) {
    return _mm512_maskz_loadu_epi16(FirstHalves(count), p);
  }
  static Pairs KeepLowHalves(Pairs a) { return _mm512_and_si512(a, _mm512_set1_epi32(0xffff)); }
  // kWidth pairs of int16: `count` uint8 with 128 subtracted, then zeros.
  static Pairs LoadInt16PairsFirst(const uint8_t* p, int64_t count) {
    const __m256i bytes = _mm256_mask_loadu_epi8(_mm256_set1_epi8(-128), FirstHalves(count), p);
    return _mm512_sub_epi16(_mm512_cvtepu8_epi16(bytes), _mm512_set1_epi16(128));
  }
  // pairs[0] and pairs[1] become the 2 * kWidth pairs of halves of a and b, in order.
  static void InterleaveHalves(Pairs a, Pairs b, Pairs pairs[2]) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    // Halves i and 32 + i: 32 and more are of the second operand.
    const __m512i second = _mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32(32)), 16);
    const __m512i first = _mm512_or_si512(lanes, second);
    pairs[0] = _mm512_permutex2var_epi16(a, first, b);
    pairs[1] = _mm512_permutex2var_epi16(a, _mm512_add_epi16(first, _mm512_set1_epi16(16)), b);
  }
  static Float LoadFirst(const int16_t* p, int64_t count) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(FirstLanes(count), p)));
  }
  static void StoreInt16First(int16_t* p, Float a, int64_t count) {
    _mm256_mask_storeu_epi16(p, FirstLanes(count), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
  }
  // uint8 with 128 subtracted.
  static Float LoadFirst(const uint8_t* p, int64_t count) {
    const __m128i bytes = _mm_mask_loadu_epi8(_mm_set1_epi8(-128), FirstLanes(count), p);
    return _mm512_cvtepi32_ps(
        _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(128)));
  }
  static Float LoadInt8(const int8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void StoreUint8First(uint8_t* p, Float a, int64_t count) {
    // Narrowed in a register: the form that writes memory is several times slower.
    _mm_mask_storeu_epi8(p, FirstLanes(count), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
  }
  static void StoreInt8First(int8_t* p, Float a, int64_t count) {
    _mm_mask_storeu_epi8(p, FirstLanes(count), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
  }
  // Lanes of eight int4 from one a byte, [8 * kWidth].
  static Pairs JoinNibbles(const int8_t* p) {
    const __m256i low = JoinNibbles(_mm512_loadu_si512(p));
    const __m256i high = JoinNibbles(_mm512_loadu_si512(p + 64));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
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

  // rows[i] lane j becomes rows[j] lane i: squares of four lanes within the quarters of a register first,
  // which more pipes of a processor can do and which need no indices, then squares of quarters.
  static void Transpose(Float rows[kWidth]) {
    Float quads[kWidth];  // quads[4 * k + c]: lanes c, 4 + c, 8 + c and 12 + c of rows 4 * k ..
#pragma GCC unroll 4
    for (int k = 0; k < kWidth; k += 4) {
      const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(rows[k], rows[k + 1]));
      const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(rows[k], rows[k + 1]));
      const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(rows[k + 2], rows[k + 3]));
      const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(rows[k + 2], rows[k + 3]));
      quads[k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
      quads[k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
      quads[k + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
      quads[k + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      // Quarters 0 and 2, and 1 and 3, of two rows each.
      const Float even_low = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x88);
      const Float even_high = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x88);
      const Float odd_low = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xdd);
      const Float odd_high = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xdd);
      rows[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
      rows[8 + c] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
      rows[4 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
      rows[12 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
    }
  }

 private:
  // Even bytes become the low half of a lane and odd bytes the high half, in two steps that each
  // move upper nibbles beside the lower ones.
  static __m256i JoinNibbles(__m512i bytes) {
    const __m512i nibble = _mm512_set1_epi16(0xf);
    const auto join = [](__m512i a) {
      a = _mm512_or_si512(a, _mm512_srli_epi64(a, 12));
      a = _mm512_or_si512(a, _mm512_srli_epi64(a, 24));
      return _mm512_and_si512(a, _mm512_set1_epi64(0xffff));
    };
    const __m512i even = join(_mm512_and_si512(bytes, nibble));
    const __m512i odd = join(_mm512_and_si512(_mm512_srli_epi16(bytes, 8), nibble));
    return _mm512_cvtepi64_epi32(_mm512_or_si512(even, _mm512_slli_epi64(odd, 16)));
  }
  static Float Widen(__m256i bfloat16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bfloat16), 16));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VECTOR_H_
