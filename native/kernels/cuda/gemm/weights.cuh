#ifndef AUTOGLM_KERNELS_CUDA_GEMM_WEIGHTS_CUH_
#define AUTOGLM_KERNELS_CUDA_GEMM_WEIGHTS_CUH_

#include "kernels/cuda/gemm/layout.h"
#include "kernels/cuda/simt.h"

// The factors of a product's instructions, read from packed weights. Each kind of weight is a type:
//   kNumbers         what its layout is
//   kHasZeroPoints   a group has offsets
//   kNumParts        instructions for each pair of factors
//   Sum              of what the products are summed: float, or int
//   Multiply         adds the product of two factors to sums
//   LoadBlock        fills the fragments of a block's two instructions from shared memory
//   Value            one number, as a float

namespace autoglm::cuda {

// What is added to the expanded integers of a lane's columns g and g + 8, twice in a word.
struct Offsets {
  uint32_t word[2];
};

// The fragments of a block: of its instructions 0 and 1, for each part of a number.
template <int kNumParts>
struct WeightFragments {
  uint32_t a[kNumParts][2][4];
};

template <int kNumParts>
SIMT_DEVICE void SetColumns(WeightFragments<kNumParts>& fragments, int part, int half,
                            const uint32_t (&words)[4]) {
  // Of a run of eight depths, words 0 and 1 are an instruction's, words 2 and 3 the next one's.
#pragma unroll
  for (int step = 0; step < 2; ++step) {
    fragments.a[part][step][half] = words[2 * step];
    fragments.a[part][step][2 + half] = words[2 * step + 1];
  }
}

// What is multiplied as bfloat16, whatever it lies as.
struct MultipliedAsBf16 {
  using Sum = float;

  SIMT_DEVICE static void Multiply(float (&sums)[4], const uint32_t (&a)[4],
                                   const uint32_t (&b)[2]) {
    MmaBf16(sums, a, b);
  }
};

// Numbers that are multiplied as they lie: bfloat16, int8 by int8, or fp8 by fp8.
struct DirectWeight {
  static constexpr bool kHasZeroPoints = false;
  static constexpr int kNumParts = 1;

  SIMT_DEVICE static void LoadBlock(const std::byte* block, const Offsets&,
                                    WeightFragments<1>& fragments) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto* words = reinterpret_cast<const Vec<uint32_t, 4>*>(block + half * 512);
      const Vec<uint32_t, 4> run = words[LaneIndex()];
      SetColumns(fragments, 0, half, run.at);
    }
  }
};

struct Bfloat16Weight : DirectWeight, MultipliedAsBf16 {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kBfloat16;

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    return Bf16ToFloat(*reinterpret_cast<const uint16_t*>(block + place.byte));
  }
};

struct Int8ByInt8Weight : DirectWeight {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kInt8ByInt8;
  using Sum = int;

  SIMT_DEVICE static void Multiply(int (&sums)[4], const uint32_t (&a)[4],
                                   const uint32_t (&b)[2]) {
    MmaInt8(sums, a, b);
  }
};

struct Fp8ByFp8Weight : DirectWeight {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kFp8ByFp8;
  using Sum = float;

  SIMT_DEVICE static void Multiply(float (&sums)[4], const uint32_t (&a)[4],
                                   const uint32_t (&b)[2]) {
    MmaFp8(sums, a, b);
  }
};

// A float16 is the sum of two bfloat16, exactly, so that the input may keep the range of bfloat16.
struct Float16Weight : MultipliedAsBf16 {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kFloat16;
  static constexpr bool kHasZeroPoints = false;
  static constexpr int kNumParts = 2;

  SIMT_DEVICE static void LoadBlock(const std::byte* block, const Offsets&,
                                    WeightFragments<2>& fragments) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto* words = reinterpret_cast<const Vec<uint32_t, 4>*>(block + half * 512);
      const Vec<uint32_t, 4> run = words[LaneIndex()];
      uint32_t upper[4];
      uint32_t lower[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float low = F16ToFloat(static_cast<uint16_t>(run[i]));
        const float high = F16ToFloat(static_cast<uint16_t>(run[i] >> 16));
        upper[i] = PackBf16(low, high);
        lower[i] = PackBf16(low - Bf16ToFloat(static_cast<uint16_t>(upper[i])),
                            high - Bf16ToFloat(static_cast<uint16_t>(upper[i] >> 16)));
      }
      SetColumns(fragments, 0, half, upper);
      SetColumns(fragments, 1, half, lower);
    }
  }

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    return F16ToFloat(*reinterpret_cast<const uint16_t*>(block + place.byte));
  }
};

// Adds two pairs of bfloat16; a GPU of 8.0 has the sum as a product by 1 alone.
SIMT_DEVICE uint32_t AddBf16x2(uint32_t a, uint32_t b) { return FmaBf16x2(a, 0x3f803f80u, b); }

// Integers become bfloat16 without a conversion: with the bits of 128 above it, a number of seven
// bits is 128 + itself, from which the offset takes 128 and more. All of it is exact, also a
// difference to a zero point, as a bfloat16 holds every integer up to 256.
inline constexpr uint32_t kBits128 = 0x43004300u;       // 128 twice
inline constexpr uint32_t kBitsMinus128 = 0xc300c300u;  // -128 twice

// An int8 is its lower seven bits, minus 128 if it is negative: the sign's bit turns -128 to -256.
// The offset is minus the zero point.
template <bool kZeroPoints>
struct Int8Weight : MultipliedAsBf16 {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kInt8;
  static constexpr bool kHasZeroPoints = kZeroPoints;
  static constexpr int kNumParts = 1;

  SIMT_DEVICE static uint32_t Expand(uint32_t bytes, uint32_t offset) {
    const uint32_t number =
        AddBf16x2((bytes & 0x007f007fu) | kBits128, (bytes & 0x00800080u) | kBitsMinus128);
    return kZeroPoints ? AddBf16x2(number, offset) : number;
  }

  SIMT_DEVICE static void LoadBlock(const std::byte* block, const Offsets& offsets,
                                    WeightFragments<1>& fragments) {
    const Vec<uint32_t, 4> run =
        reinterpret_cast<const Vec<uint32_t, 4>*>(block)[LaneIndex()];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        words[i] = Expand(run[2 * half + i / 2] >> (i % 2 * 8), offsets.word[half]);
      }
      SetColumns(fragments, 0, half, words);
    }
  }

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    return static_cast<float>(*reinterpret_cast<const int8_t*>(block + place.byte));
  }
};

// A number of fp8 moved to where a bfloat16 has its sign and the lower end of its exponent is one of
// 2^-120 times its value: the exponents are counted from -7 and from -127, and a number without exponent
// is subnormal in both. So a product by 2^120 is the number, exactly. There is no NaN among them.
struct Fp8Weight : MultipliedAsBf16 {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kFp8;
  static constexpr bool kHasZeroPoints = false;
  static constexpr int kNumParts = 1;

  // Expands the upper byte of each half.
  SIMT_DEVICE static uint32_t Expand(uint32_t bytes) {
    constexpr uint32_t kTwoTo120 = 0x7b807b80u;  // twice
    constexpr uint32_t kMinusZero = 0x80008000u;  // leaves the sign of a zero as it is
    const uint32_t moved = (bytes & 0x80008000u) | (bytes >> 4 & 0x07f007f0u);
    return FmaBf16x2(moved, kTwoTo120, kMinusZero);
  }

  SIMT_DEVICE static void LoadBlock(const std::byte* block, const Offsets&,
                                    WeightFragments<1>& fragments) {
    const Vec<uint32_t, 4> run =
        reinterpret_cast<const Vec<uint32_t, 4>*>(block)[LaneIndex()];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) words[i] = Expand(run[2 * half + i / 2] << (8 - i % 2 * 8));
      SetColumns(fragments, 0, half, words);
    }
  }

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    return Fp8ToFloat(*reinterpret_cast<const uint8_t*>(block + place.byte));
  }
};

// An int4 lies as 0..15, the number plus 8; the offset takes 136 and the zero point from it.
template <bool kZeroPoints>
struct Int4Weight : MultipliedAsBf16 {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kInt4;
  static constexpr bool kHasZeroPoints = kZeroPoints;
  static constexpr int kNumParts = 1;
  static constexpr uint32_t kOffsetBits = 0xc308c308u;  // -136, of the zero point 0, twice

  SIMT_DEVICE static void LoadBlock(const std::byte* block, const Offsets& offsets,
                                    WeightFragments<1>& fragments) {
    const Vec<uint32_t, 2> run =
        reinterpret_cast<const Vec<uint32_t, 2>*>(block)[LaneIndex()];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t nibbles = (run[half] >> (4 * i)) & 0x000f000fu;
        words[i] = AddBf16x2(nibbles | kBits128, kZeroPoints ? offsets.word[half] : kOffsetBits);
      }
      SetColumns(fragments, 0, half, words);
    }
  }

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    const int byte = static_cast<int>(*reinterpret_cast<const uint8_t*>(block + place.byte));
    return static_cast<float>(((byte >> place.shift) & 15) - 8);
  }
};

struct Float32Weight {
  static constexpr WeightNumbers kNumbers = WeightNumbers::kFloat32;
  static constexpr bool kHasZeroPoints = false;

  SIMT_DEVICE static float Value(const std::byte* block, ValuePlace place) {
    return *reinterpret_cast<const float*>(block + place.byte);
  }
};

// Scales and offsets of a unit's groups.
struct UnitScales {
  const std::byte* scales;   // [groups][16] of scale_dtype
  const std::byte* offsets;  // [groups][16] bfloat16, if there are any
  Dtype scale_dtype;

  SIMT_DEVICE float Scale(int group, int column) const {
    const int index = group * kTileColumns + column;
    if (scale_dtype == Dtype::kFloat32) return reinterpret_cast<const float*>(scales)[index];
    const uint16_t bits = reinterpret_cast<const uint16_t*>(scales)[index];
    return scale_dtype == Dtype::kBfloat16 ? Bf16ToFloat(bits) : F16ToFloat(bits);
  }

  SIMT_DEVICE uint16_t Offset(int group, int column) const {
    return reinterpret_cast<const uint16_t*>(offsets)[group * kTileColumns + column];
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_WEIGHTS_CUH_
