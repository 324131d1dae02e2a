#ifndef AUTOGLM_KERNELS_AVX2_IMAGE_H_
#define AUTOGLM_KERNELS_AVX2_IMAGE_H_

#include <immintrin.h>

#include <cstdint>

#include "kernels/image_kernels.h"

namespace autoglm::kernels {
namespace {

constexpr int64_t kPixelBytes = 3;

// Four pixels, of 16 bytes that are loaded, in both halves of a register: as pairs of int16, of red and
// green in the lower half, of blue in the upper one. So one load of four weights serves all channels.
constexpr int64_t kLoadBytes = 16;
constexpr int64_t kBytesAtOnce = kWeightsAtOnce * kPixelBytes;

inline __m256i PairsOfPixels(__m128i pixels) {
  const __m256i order =
      _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                       2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(pixels), order);
}

inline __m256i BroadcastWeights(const int16_t* weights) {
  long long four;
  __builtin_memcpy(&four, weights, sizeof(four));
  return _mm256_set1_epi64x(four);
}

// The next weights of an output pixel, for all channels.
struct PixelWeights {
  __m256i high;
  __m256i low;
};

// Sums of a pixel, in eight lanes: two of red, two of green, two of blue and two of zero.
struct PixelSums {
  __m256i high = _mm256_setzero_si256();
  __m256i low = _mm256_set1_epi64x(1 << (kWeightFractionBits - 1));  // a half in one of each two lanes

  [[gnu::always_inline]] void Add(__m128i pixels, const PixelWeights& weights) {
    const __m256i pairs = PairsOfPixels(pixels);
    high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, weights.high));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs, weights.low));
  }
  __m256i Total() const { return _mm256_add_epi32(_mm256_slli_epi32(high, kLowWeightBits), low); }
};

// Sums of a pixel of kNumRows rows, one or two.
template <int kNumRows>
struct RowSums {
  static constexpr int kRows = kNumRows;

  PixelSums sums[kRows];

  static PixelWeights Weights(const int16_t* high, const int16_t* low) {
    return {BroadcastWeights(high), BroadcastWeights(low)};
  }
  [[gnu::always_inline]] void Add(const __m128i pixels[kRows], const PixelWeights& weights) {
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) sums[r].Add(pixels[r], weights);
  }
  // Red and green of two rows, then blue and zero of both; zeros in the place of a second row.
  __m256i Pixel(int) const {
    if constexpr (kRows == 2) return _mm256_hadd_epi32(sums[0].Total(), sums[1].Total());
    return _mm256_hadd_epi32(sums[0].Total(), _mm256_setzero_si256());
  }
};

// Returns sums of an output pixel of Sums::kRows rows, whose weights are read once.
template <typename Sums>
[[gnu::always_inline]] inline Sums SumsOfPixel(const ResizeRowsArgs& args, int64_t row, int64_t o) {
  constexpr int kRows = Sums::kRows;
  const int64_t in_bytes = args.in_width * kPixelBytes;
  const int64_t first = args.first[o] * kPixelBytes;
  const int16_t* high = args.weights.high + o * args.weight_stride;
  const int16_t* low = args.weights.low + o * args.weight_stride;
  const uint8_t* in = args.in + row * in_bytes + first;
  int64_t rest = in_bytes - first;  // bytes of a row from `in` on
  Sums sums;
  __m128i pixels[kRows];
  const auto load = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      pixels[r] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + r * in_bytes));
    }
  };
  const auto add = [&]() __attribute__((always_inline)) {
    sums.Add(pixels, Sums::Weights(high, low));
    high += kWeightsAtOnce;
    low += kWeightsAtOnce;
    in += kBytesAtOnce;
    rest -= kBytesAtOnce;
  };
  // All pixels take as many steps, those of few taps some with weights of zero: a processor foresees
  // where that ends.
  const int64_t most_loads = args.weight_stride / kWeightsAtOnce;
  if (rest >= (most_loads - 1) * kBytesAtOnce + kLoadBytes) {
    for (int64_t i = 0; i < most_loads; ++i) {
      load();
      add();
    }
    return sums;
  }
  // At the end of a row, which may be that of its memory.
  int64_t num_loads = (args.taps[o] + kWeightsAtOnce - 1) / kWeightsAtOnce;
  for (; num_loads > 0 && rest >= kLoadBytes; --num_loads) {
    load();
    add();
  }
  for (; num_loads > 0; --num_loads) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      pixels[r] = _mm_setzero_si128();
      __builtin_memcpy(&pixels[r], in + r * in_bytes, static_cast<size_t>(rest));
    }
    add();
  }
  return sums;
}

// Rounds two pixels of two rows to bytes: those of the first row from byte 0, of the second from byte 8.
inline __m128i RoundPixels(__m256i first, __m256i second) {
  const __m256i halves = _mm256_packs_epi32(_mm256_srai_epi32(first, kWeightFractionBits),
                                            _mm256_srai_epi32(second, kWeightFractionBits));
  const __m256i bytes = _mm256_packus_epi16(halves, halves);
  const __m128i order = _mm_setr_epi8(0, 1, 8, 4, 5, 12, -1, -1, 2, 3, 10, 6, 7, 14, -1, -1);
  return _mm_shuffle_epi8(
      _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)), order);
}

template <typename Sums>
void ResizeRow(const ResizeRowsArgs& args, int64_t row) {
  const auto store = [&](int64_t o, const Sums& first, const Sums& second, size_t num_bytes)
                         __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int pair = 0; 2 * pair < Sums::kRows; ++pair) {
      const __m128i pixels = RoundPixels(first.Pixel(pair), second.Pixel(pair));
      const int64_t rows[2] = {_mm_cvtsi128_si64(pixels), _mm_extract_epi64(pixels, 1)};
      for (int r = 0; r < 2 && 2 * pair + r < Sums::kRows; ++r) {
        uint8_t* const out =
            args.out + ((row + 2 * pair + r) * args.out_width + o) * kPixelBytes;
        __builtin_memcpy(out, &rows[r], num_bytes);
      }
    }
  };
  // Each pair of pixels asks for its part of the rows that come next: a picture has just been decoded,
  // too large for a core's caches, and rows end before the processor follows them.
  constexpr int64_t kLineBytes = 64;
  const int64_t row_bytes = args.in_width * kPixelBytes;
  const uint8_t* next = args.in + (row + Sums::kRows) * row_bytes;
  const int64_t next_lines =
      (Sums::kRows * row_bytes * 2 / args.out_width + kLineBytes - 1) / kLineBytes;
  int64_t o = 0;
  for (; o + 2 <= args.out_width; o += 2) {
    for (int64_t line = 0; line < next_lines; ++line, next += kLineBytes) {
      __builtin_prefetch(next, 0, 3);
    }
    const Sums first = SumsOfPixel<Sums>(args, row, o);
    store(o, first, SumsOfPixel<Sums>(args, row, o + 1), 2 * kPixelBytes);
  }
  if (o == args.out_width) return;
  const Sums last = SumsOfPixel<Sums>(args, row, o);
  store(o, last, last, kPixelBytes);
}

// Resizes WideSums::kRows rows at once, at least two, and what is left by two and one.
template <typename WideSums>
void ResizeRows(const ResizeRowsArgs& args) {
  int64_t row = 0;
  for (; row + WideSums::kRows <= args.num_rows; row += WideSums::kRows) {
    ResizeRow<WideSums>(args, row);
  }
  if constexpr (WideSums::kRows > 2) {
    for (; row + 2 <= args.num_rows; row += 2) ResizeRow<RowSums<2>>(args, row);
  }
  if (row < args.num_rows) ResizeRow<RowSums<1>>(args, row);
}

// Sums of kVectors times eight bytes of all rows.
template <int kVectors>
void BlendColumns(const BlendRowsArgs& args, int64_t column) {
  __m256i sums[kVectors];
  for (__m256i& sum : sums) sum = _mm256_set1_epi32(1 << (kWeightFractionBits - 1));
  const uint8_t* row = args.rows + column;
  for (int64_t i = 0; i < args.num_rows; ++i, row += args.row_bytes) {
    const __m256i weight = _mm256_set1_epi32(args.weights.high[i] * (1 << kLowWeightBits) +
                                             args.weights.low[i]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 8 * v));
      sums[v] = _mm256_add_epi32(sums[v],
                                 _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight));
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m256i whole = _mm256_srai_epi32(sums[v], kWeightFractionBits);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(args.out + column + 8 * v),
                     _mm_packus_epi16(halves, halves));
  }
}

// kBlendWide blends 32 bytes of all rows.
template <void (*kBlendWide)(const BlendRowsArgs&, int64_t)>
void BlendRows(const BlendRowsArgs& args) {
  int64_t column = 0;
  for (; column + 32 <= args.row_bytes; column += 32) kBlendWide(args, column);
  for (; column + 8 <= args.row_bytes; column += 8) BlendColumns<1>(args, column);
  for (; column < args.row_bytes; ++column) {
    int32_t sum = 1 << (kWeightFractionBits - 1);
    for (int64_t i = 0; i < args.num_rows; ++i) {
      sum += args.rows[i * args.row_bytes + column] *
             (args.weights.high[i] * (1 << kLowWeightBits) + args.weights.low[i]);
    }
    const int32_t whole = sum >> kWeightFractionBits;
    args.out[column] = static_cast<uint8_t>(whole < 0 ? 0 : whole > 255 ? 255 : whole);
  }
}

template <typename WideSums, void (*kBlendWide)(const BlendRowsArgs&, int64_t)>
ImageKernels Image(const char* isa) {
  return {
      .isa = isa, .resize_rows = ResizeRows<WideSums>, .blend_rows = BlendRows<kBlendWide>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_AVX2_IMAGE_H_
