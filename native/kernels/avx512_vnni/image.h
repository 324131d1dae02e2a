#ifndef AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_
#define AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx2/image.h"

namespace autoglm::kernels {
namespace {

// Does the same as RowSums<2> for four rows, two of which share a register: the products of a pair of
// positions are added in one instruction.
struct FourRowSums {
  static constexpr int kRows = 4;

  struct Weights512 {
    __m512i high;
    __m512i low;
  };

  __m512i high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  __m512i low[2] = {_mm512_set1_epi64(1 << (kWeightFractionBits - 1)),
                    _mm512_set1_epi64(1 << (kWeightFractionBits - 1))};

  static Weights512 Weights(const int16_t* high, const int16_t* low) {
    return {Broadcast(high), Broadcast(low)};
  }
  [[gnu::always_inline]] void Add(const __m128i pixels[kRows], const Weights512& weights) {
    const __m512i order = _mm512_broadcast_i64x4(
        _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                         2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    constexpr __mmask16 kSecondHalf = 0xff00;
#pragma GCC unroll 2
    for (int r = 0; r < 2; ++r) {
      const __m512i both = _mm512_mask_broadcast_i32x4(
          _mm512_broadcast_i32x4(pixels[2 * r]), kSecondHalf, pixels[2 * r + 1]);
      const __m512i pairs = _mm512_shuffle_epi8(both, order);
      high[r] = _mm512_dpwssd_epi32(high[r], pairs, weights.high);
      low[r] = _mm512_dpwssd_epi32(low[r], pairs, weights.low);
    }
  }
  // Red and green of two rows, then blue and zero of both.
  __m256i Pixel(int pair) const {
    const __m512i total =
        _mm512_add_epi32(_mm512_slli_epi32(high[pair], kLowWeightBits), low[pair]);
    return _mm256_hadd_epi32(_mm512_castsi512_si256(total), _mm512_extracti64x4_epi64(total, 1));
  }

 private:
  static __m512i Broadcast(const int16_t* weights) {
    long long four;
    __builtin_memcpy(&four, weights, sizeof(four));
    return _mm512_set1_epi64(four);
  }
};

// Does the same as BlendColumns<4> with the products of a pair of rows added in one instruction.
inline void BlendPairsOfRows(const BlendRowsArgs& args, int64_t column) {
  // Columns 0..7 and 16..23, then 8..15 and 24..31: as bytes of two rows are interleaved.
  __m512i high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  __m512i low[2];
  for (__m512i& sum : low) sum = _mm512_set1_epi32(1 << (kWeightFractionBits - 1));
  const uint8_t* row = args.rows + column;
  const auto weights_at = [](const int16_t* weights) {
    int pair;
    __builtin_memcpy(&pair, weights, sizeof(pair));
    return _mm512_set1_epi32(pair);
  };
  for (int64_t i = 0; i < args.num_rows; i += 2, row += 2 * args.row_bytes) {
    // The weight of a row that does not exist is zero.
    const uint8_t* const second = i + 1 < args.num_rows ? row + args.row_bytes : row;
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second));
    const __m512i pairs[2] = {_mm512_cvtepu8_epi16(_mm256_unpacklo_epi8(a, b)),
                              _mm512_cvtepu8_epi16(_mm256_unpackhi_epi8(a, b))};
    const __m512i high_weights = weights_at(args.weights.high + i);
    const __m512i low_weights = weights_at(args.weights.low + i);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      high[half] = _mm512_dpwssd_epi32(high[half], pairs[half], high_weights);
      low[half] = _mm512_dpwssd_epi32(low[half], pairs[half], low_weights);
    }
  }
  __m128i bytes[2];
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const __m512i total =
        _mm512_add_epi32(_mm512_slli_epi32(high[half], kLowWeightBits), low[half]);
    const __m512i whole = _mm512_srai_epi32(total, kWeightFractionBits);
    bytes[half] = _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512()));
  }
  __m128i* const out = reinterpret_cast<__m128i*>(args.out + column);
  _mm_storeu_si128(out, _mm_unpacklo_epi64(bytes[0], bytes[1]));
  _mm_storeu_si128(out + 1, _mm_unpackhi_epi64(bytes[0], bytes[1]));
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX512_VNNI_IMAGE_H_
