#ifndef AUTOGLM_KERNELS_AVX2_VECTOR_H_
#define AUTOGLM_KERNELS_AVX2_VECTOR_H_

#include <immintrin.h>

#include <cstdint>

namespace autoglm::kernels {
namespace {

// Eight float32 lanes: what the kernels of simd/ are written in. Functions that end in First touch
// `count` elements of memory, 0..kWidth; lanes beyond them read as zero.
struct Avx2Vector {
  using Float = __m256;
  using Pairs = __m256i;  // [kWidth] pairs of bfloat16, the earlier one in the low half

  static constexpr int kWidth = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kTileVectors = 2;
  // Where a product passes through a register before it is added to its sum.
  static constexpr int kDotTileRows = 5;
  static constexpr int kLaneTileRows = 5;
  static constexpr bool kWidensBytes = true;
  static constexpr bool kHasBfloat16Dot = false;
  static constexpr bool kHasByteDot = false;
  static constexpr bool kHasNibbleDigits = true;

  // Keeps a sum in its register. The compiler would reorder the additions of a tile, and sums that wait
  // for each other would need more registers than there are.
  static Float Pin(Float sum) {
    asm("" : "+x"(sum));
    return sum;
  }
  static Pairs Pin(Pairs sum) {
    asm("" : "+x"(sum));
    return sum;
  }

  static Float Zero() { return _mm256_setzero_ps(); }
  static Float Set(float value) { return _mm256_set1_ps(value); }
  static Float Load(const float* p) { return _mm256_loadu_ps(p); }
  static Float LoadFirst(const float* p, int64_t count) {
    return count == kWidth ? Load(p) : _mm256_maskload_ps(p, FirstLanes(count));
  }
  static void Store(float* p, Float a) { _mm256_storeu_ps(p, a); }
  static void StoreFirst(float* p, Float a, int64_t count) {
    // A masked store costs many times a plain one on some processors, whatever its mask.
    if (count == kWidth) return Store(p, a);
    _mm256_maskstore_ps(p, FirstLanes(count), a);
  }

  static Float Add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float Subtract(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float Multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float Divide(Float a, Float b) { return _mm256_div_ps(a, b); }
  static Float MultiplyAdd(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  // sum + a * b in the register of the sum. The compiler may choose to overwrite a factor instead, and
  // then moves what it needs again: a tile of 5 x 2 vectors took half as long again.
  static Float AddProduct(Float sum, Float a, Float b) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
  }
  // c - a * b.
  static Float NegativeMultiplyAdd(Float a, Float b, Float c) { return _mm256_fnmadd_ps(a, b, c); }
  // The second operand in lanes in which either is NaN.
  static Float Max(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float Min(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float Abs(Float a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static Float CopySign(Float magnitude, Float sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(bit, sign), _mm256_andnot_ps(bit, magnitude));
  }
  static Float Round(Float a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // a * 2^n for integral n in -252..254, correct also if the result overflows or is subnormal: two
  // factors, each a normal number.
  static Float ScaleByPowerOfTwo(Float a, Float n) {
    const __m256i exponent = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(exponent, 1);
    return _mm256_mul_ps(_mm256_mul_ps(a, PowerOfTwo(half)),
                         PowerOfTwo(_mm256_sub_epi32(exponent, half)));
  }
  // b > c ? if_greater : otherwise; NaN compares false.
  static Float SelectGreater(Float b, Float c, Float if_greater, Float otherwise) {
    return _mm256_blendv_ps(otherwise, if_greater, _mm256_cmp_ps(b, c, _CMP_GT_OQ));
  }
  static Float KeepFirst(Float a, int64_t count, Float otherwise) {
    return _mm256_blendv_ps(otherwise, a, _mm256_castsi256_ps(FirstLanes(count)));
  }
  // Bit i is set if lane i of a is greater than, or equal to, that of b.
  static uint32_t GreaterBits(Float a, Float b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
  }
  static uint32_t EqualBits(Float a, Float b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)));
  }

  static float First(Float a) { return _mm256_cvtss_f32(a); }
  static float Sum(Float a) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  static float Largest(Float a) {
    __m128 max = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    max = _mm_max_ps(max, _mm_movehl_ps(max, max));
    return _mm_cvtss_f32(_mm_max_ss(max, _mm_movehdup_ps(max)));
  }

  static Float Load(const uint16_t* bfloat16) { return Widen(LoadHalves(bfloat16)); }
  static Float LoadFirst(const uint16_t* bfloat16, int64_t count) {
    return Widen(LoadHalvesFirst(bfloat16, count));
  }
  static void StoreBfloat16First(uint16_t* p, Float a, int64_t count) {
    const __m256i rounded = RoundToBfloat16(a);
    StoreHalvesFirst(
        p, _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)),
        count);
  }
  // The low half of each lane: to nearest, ties to even; a NaN gets its quiet bit, lest rounding turn it
  // into infinity.
  static Pairs RoundToBfloat16(Float a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, is_nan);
  }
  static Float LoadFloat16(const uint16_t* p) { return _mm256_cvtph_ps(LoadHalves(p)); }
  static Float LoadFloat16First(const uint16_t* p, int64_t count) {
    return _mm256_cvtph_ps(LoadHalvesFirst(p, count));
  }
  static void StoreFloat16First(uint16_t* p, Float a, int64_t count) {
    StoreHalvesFirst(p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), count);
  }

  static Pairs LoadPairs(const uint32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  // Loads what was loaded before, which the compiler would keep in a register that a tile needs.
  static Pairs ReloadPairs(const uint32_t* p) {
    Pairs a;
    asm("vmovdqu %1, %0" : "=x"(a) : "m"(*reinterpret_cast<const __m256i_u*>(p)));
    return a;
  }
  static void StoreLanes(uint32_t* p, Pairs a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
  }
  static Float LowHalves(Pairs a) { return _mm256_castsi256_ps(_mm256_slli_epi32(a, 16)); }
  static Float HighHalves(Pairs a) {
    return _mm256_castsi256_ps(
        _mm256_and_si256(a, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }

  // Lanes of four int8 or eight int4: see simd/packed_lanes.h.
  static Float ConvertLanes(Pairs a) { return _mm256_cvtepi32_ps(a); }
  static Float LanesAsBits(Pairs a) { return _mm256_castsi256_ps(a); }
  static Pairs BitsAsLanes(Float a) { return _mm256_castps_si256(a); }
  template <int kByte>
  static Float SignedByte(Pairs a) {
    return ConvertLanes(_mm256_srai_epi32(_mm256_slli_epi32(a, 24 - 8 * kByte), 24));
  }
  template <int kShift>
  static Float SignedNibble(Pairs a) {
    return ConvertLanes(_mm256_srai_epi32(_mm256_slli_epi32(a, 28 - kShift), 28));
  }
  // sum + the products of four int8 of each lane with the four uint8 of x.
  static Pairs AddByteDots(Pairs sum, Pairs a, uint32_t x) {
    const __m256i bytes = _mm256_set1_epi32(static_cast<int>(x));
    const __m256i even = _mm256_madd_epi16(_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8),
                                           _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)));
    const __m256i odd =
        _mm256_madd_epi16(_mm256_srai_epi16(a, 8), _mm256_srli_epi16(bytes, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  // Bytes 0 and 2 of each lane, or 1 and 3, as a pair of int16.
  template <int kOdd>
  static Pairs BytesInt16(Pairs a) {
    return _mm256_srai_epi16(kOdd == 1 ? a : _mm256_slli_epi16(a, 8), 8);
  }
  // Widens `count` uint8: of each four the even ones, then the odd ones. Writes whole lanes, zeros where
  // there are no numbers.
  static void StoreEvenOddFirst(int16_t* y, const uint8_t* x, int64_t count) {
    __m256i bytes = _mm256_setzero_si256();
    if (count == 4 * kWidth) {
      bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    } else {
      __builtin_memcpy(&bytes, x, static_cast<size_t>(count));
    }
    const __m256i even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    const __m256i odd = _mm256_srli_epi16(bytes, 8);
    const __m256i low = _mm256_unpacklo_epi32(even, odd);
    const __m256i high = _mm256_unpackhi_epi32(even, odd);
    __m256i* const pairs = reinterpret_cast<__m256i*>(y);
    _mm256_storeu_si256(pairs, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(pairs + 1, _mm256_permute2x128_si256(low, high, 0x31));
  }
  // What simd/nibble_digits.h multiplies: eight int4 of each lane by bytes of int16.
  static Pairs NibblesAbove8(Pairs a) { return _mm256_xor_si256(a, _mm256_set1_epi8(-120)); }
  static Pairs LowerNibbles(Pairs a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
  static Pairs UpperNibbles(Pairs a) { return LowerNibbles(_mm256_srli_epi16(a, 4)); }
  // Depths 0, 4, 1, 5 of eight stand in the lower nibbles of a lane, 2, 6, 3, 7 in the upper ones.
  static void StoreDigits(const int16_t* x, uint8_t* digits) {
    const __m128i order = _mm_setr_epi8(1, 9, 3, 11, 5, 13, 7, 15, 0, 8, 2, 10, 4, 12, 6, 14);
    const __m128i numbers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digits), _mm_shuffle_epi8(numbers, order));
  }
  static Pairs BroadcastLane(const uint8_t* p) {
    int32_t lane;
    __builtin_memcpy(&lane, p, sizeof(lane));
    return _mm256_set1_epi32(lane);
  }
  static Pairs LoadHalves(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static int32_t SumLanes(Pairs a) {
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(2, 3, 0, 1))));
  }
  static Pairs SetLanes(int32_t value) { return _mm256_set1_epi32(value); }
  // Sums of two products of uint8 of a with int8 of b in each half.
  static Pairs MultiplyBytes(Pairs a, Pairs b) { return _mm256_maddubs_epi16(a, b); }
  static Pairs AddHalves(Pairs a, Pairs b) { return _mm256_add_epi16(a, b); }
  // sum + factor * (a.low + a.high) in each lane of int16.
  static Pairs AddHalvesTimes(Pairs sum, Pairs a, int16_t factor) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_set1_epi16(factor)));
  }
  // The int4 at bit kShift of the low and high half of each lane as a pair of int16.
  template <int kShift>
  static Pairs NibbleInt16(Pairs a) {
    return _mm256_srai_epi16(_mm256_slli_epi16(a, 12 - kShift), 12);
  }
  // sum + a.low * b.low + a.high * b.high in each lane of int16; b: one pair for all.
  static Pairs AddInt16Dots(Pairs sum, Pairs a, uint32_t b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, _mm256_set1_epi32(static_cast<int>(b))));
  }
  // kWidth pairs of int16: `count` uint8 with 128 subtracted, then zeros.
  static Pairs LoadInt16PairsFirst(const uint8_t* p, int64_t count) {
    __m128i bytes = _mm_set1_epi8(-128);
    if (count == 2 * kWidth) {
      bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    } else {
      __builtin_memcpy(&bytes, p, static_cast<size_t>(count));
    }
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), _mm256_set1_epi16(128));
  }
  // pairs[0] and pairs[1] become the 2 * kWidth pairs of halves of a and b, in order.
  static void InterleaveHalves(Pairs a, Pairs b, Pairs pairs[2]) {
    const __m256i low = _mm256_unpacklo_epi16(a, b);
    const __m256i high = _mm256_unpackhi_epi16(a, b);
    pairs[0] = _mm256_permute2x128_si256(low, high, 0x20);
    pairs[1] = _mm256_permute2x128_si256(low, high, 0x31);
  }
  static Float LoadFirst(const int16_t* p, int64_t count) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi16_epi32(LoadHalvesFirst(reinterpret_cast<const uint16_t*>(p), count)));
  }
  static void StoreInt16First(int16_t* p, Float a, int64_t count) {
    const __m256i lanes = _mm256_cvtps_epi32(a);
    StoreHalvesFirst(
        reinterpret_cast<uint16_t*>(p),
        _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1)), count);
  }
  // uint8 with 128 subtracted.
  static Float LoadFirst(const uint8_t* p, int64_t count) {
    __m128i bytes = _mm_set1_epi8(-128);
    if (count == kWidth) {
      bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    } else {
      __builtin_memcpy(&bytes, p, static_cast<size_t>(count));
    }
    return _mm256_cvtepi32_ps(
        _mm256_sub_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(128)));
  }
  static Float LoadInt8(const int8_t* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static void StoreUint8First(uint8_t* p, Float a, int64_t count) {
    const __m256i lanes = _mm256_cvtps_epi32(a);
    const __m128i halves =
        _mm_packus_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    StoreBytesFirst(p, _mm_packus_epi16(halves, halves), count);
  }
  static void StoreInt8First(int8_t* p, Float a, int64_t count) {
    const __m256i lanes = _mm256_cvtps_epi32(a);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    StoreBytesFirst(reinterpret_cast<uint8_t*>(p), _mm_packs_epi16(halves, halves), count);
  }
  // Lanes of eight int4 from one a byte, [8 * kWidth].
  static Pairs JoinNibbles(const int8_t* p) {
    const __m256i* const bytes = reinterpret_cast<const __m256i*>(p);
    const __m256 low = _mm256_castsi256_ps(JoinNibbles(_mm256_loadu_si256(bytes)));
    const __m256 high = _mm256_castsi256_ps(JoinNibbles(_mm256_loadu_si256(bytes + 1)));
    const __m256 halves = _mm256_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0));
    return _mm256_permute4x64_epi64(_mm256_castps_si256(halves), _MM_SHUFFLE(3, 1, 2, 0));
  }

  // (2i, 2i + 1) lanes exchanged; and four values at p, `count` of them read, each in two lanes.
  static Float SwapNeighbours(Float a) { return _mm256_permute_ps(a, 0xb1); }
  static Float LoadTwiceFirst(const float* p, int64_t count) {
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(LoadFirst(p, count), twice);
  }
  // a * b - c in even lanes, a * b + c in odd ones.
  static Float MultiplySubtractAdd(Float a, Float b, Float c) {
    return _mm256_fmaddsub_ps(a, b, c);
  }

  // rows[i] lane j becomes rows[j] lane i: squares of 1, then 2, then 4 lanes are exchanged.
  static void Transpose(Float rows[kWidth]) {
#pragma GCC unroll 4
    for (int i = 0; i < kWidth; i += 2) {
      const Float a = rows[i];
      const Float b = rows[i + 1];
      rows[i] = _mm256_blend_ps(a, _mm256_moveldup_ps(b), 0xaa);
      rows[i + 1] = _mm256_blend_ps(_mm256_movehdup_ps(a), b, 0xaa);
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < kWidth / 2; ++pair) {
      const int i = pair + (pair & 2);  // 0, 1, 4, 5
      const Float a = rows[i];
      const Float b = rows[i + 2];
      rows[i] = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 1, 0));
      rows[i + 2] = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 2, 3, 2));
    }
#pragma GCC unroll 4
    for (int i = 0; i < kWidth / 2; ++i) {
      const Float a = rows[i];
      const Float b = rows[i + 4];
      rows[i] = _mm256_permute2f128_ps(a, b, 0x20);
      rows[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
    }
  }

 private:
  static void StoreBytesFirst(uint8_t* p, __m128i bytes, int64_t count) {
    if (count == kWidth) return _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
    uint8_t first[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(first), bytes);
    for (int64_t i = 0; i < count; ++i) p[i] = first[i];
  }
  // Returns a lane in the low half of each 64 bits. Even bytes become its low half and odd bytes its
  // high half, in two steps that each move upper nibbles beside the lower ones.
  static __m256i JoinNibbles(__m256i bytes) {
    const __m256i nibble = _mm256_set1_epi16(0xf);
    const auto join = [](__m256i a) {
      a = _mm256_or_si256(a, _mm256_srli_epi64(a, 12));
      a = _mm256_or_si256(a, _mm256_srli_epi64(a, 24));
      return _mm256_and_si256(a, _mm256_set1_epi64x(0xffff));
    };
    const __m256i even = join(_mm256_and_si256(bytes, nibble));
    const __m256i odd = join(_mm256_and_si256(_mm256_srli_epi16(bytes, 8), nibble));
    return _mm256_or_si256(even, _mm256_slli_epi64(odd, 16));
  }
  static __m256i FirstLanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static __m256 PowerOfTwo(__m256i exponent) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
  }
  static __m128i LoadHalves(const uint16_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  // There are no masks for 16-bit elements at this level: a partial vector passes through the
  // stack.
  static __m128i LoadHalvesFirst(const uint16_t* p, int64_t count) {
    if (count == kWidth) return LoadHalves(p);
    uint16_t halves[kWidth] = {};
    for (int64_t i = 0; i < count; ++i) halves[i] = p[i];
    return LoadHalves(halves);
  }
  static void StoreHalvesFirst(uint16_t* p, __m128i a, int64_t count) {
    if (count == kWidth) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a);
    uint16_t halves[kWidth];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), a);
    for (int64_t i = 0; i < count; ++i) p[i] = halves[i];
  }
  static Float Widen(__m128i bfloat16) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bfloat16), 16));
  }
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX2_VECTOR_H_
