#ifndef AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_DOTS_H_
#define AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_DOTS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/attention/softmax_rows.h"
#include "kernels/simd/convert.h"
#include "kernels/simd/exponential.h"

namespace autoglm::kernels {
namespace {

// Attention multiplies lanes of 32 bits, each kDepths consecutive numbers of a key, or one number of
// kDepths consecutive values, with a lane of a query or of probabilities. Each kind of lane says what it
// holds, and what one instruction adds to a sum. Those of integers are exact.

// Reads `count` numbers of a row, at most 2 * kWidth, as bfloat16; the others are zero. int8 becomes
// bfloat16 without rounding, and without the row's scale.
template <typename V>
typename V::Pairs LoadBfloat16(const uint16_t* row, int64_t count) {
  return V::LoadHalvesFirst(row, count);
}

template <typename V, typename T>
typename V::Pairs LoadBfloat16(const T* row, int64_t count) {
  const int64_t low = count < V::kWidth ? count : int64_t{V::kWidth};
  const typename V::Float first = V::LoadFirst(row, low);
  if (count <= V::kWidth) return V::RoundPairOfVectors(first, V::Zero());
  return V::RoundPairOfVectors(first, V::LoadFirst(row + V::kWidth, count - V::kWidth));
}

// Rounds p[j] * scales[j], neither negative, for j < visible, and zero up to kVectors * kWidth, to integers
// of which the largest is kLargest, and returns their scale: NaN, and integers of zero, if one is not
// finite.
template <typename V, int kVectors, int kLargest, typename T, typename Store>
float RoundProducts(const typename V::Float* p, const float* scales, int64_t visible, T* integers,
                    const Store& store) {
  using Float = typename V::Float;
  Float products[kVectors];
  Float largest = V::Zero();
  Float zeros = V::Zero();  // as long as all are finite
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Float product = V::Multiply(p[v], V::Load(scales + v * V::kWidth));
    // The scale of a key that the row does not see may be NaN.
    products[v] = V::KeepFirst(product, ElementsOf<V>(visible, v), V::Zero());
    largest = V::Max(products[v], largest);
    zeros = V::MultiplyAdd(products[v], V::Zero(), zeros);
  }
  constexpr uint32_t kAll = (uint32_t{1} << V::kWidth) - 1;
  const bool is_finite = V::EqualBits(zeros, V::Zero()) == kAll;
  const float max = V::Largest(largest);
  // Below this the quotient overflows, and no product differs from zero.
  const float inverse = is_finite && max > 0x1p-111f ? kLargest / max : 0.0f;
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    const Float scaled = V::Multiply(is_finite ? products[v] : V::Zero(), V::Set(inverse));
    store(integers + v * V::kWidth, scaled, V::kWidth);
  }
  return is_finite ? max / kLargest : __builtin_nanf("");
}

// What a query's lanes are multiplied with, and what is added to each of its sums.
struct LaneQuery {
  float scale;
  int32_t offset;
};

// Pairs of bfloat16. Float32 is rounded to them.
template <typename V>
struct Bfloat16Lanes {
  using Sum = typename V::Float;
  using Lanes = typename V::Pairs;

  static constexpr int kDepths = 2;
  static constexpr int kQueryPasses = 1;
  static constexpr int kPowerDegree = kRoughPower;
  static constexpr bool kIsExact = false;

  static Sum Zero() { return V::Zero(); }
  // Returns kWidth lanes of the first `count` numbers at p; those beyond are zero.
  template <typename T>
  static Lanes LoadKey(const T* p, int64_t count) {
    return LoadBfloat16<V>(p, count);
  }
  // Sets kDepths vectors of lanes to `count` numbers from d on of kDepths rows.
  template <typename T>
  static void LoadValues(const T* const rows[kDepths], int64_t d, int64_t count,
                         Lanes lanes[kDepths]) {
    V::InterleaveHalves(LoadKey(rows[0] + d, count), LoadKey(rows[1] + d, count), lanes);
  }
  static Sum AddKeys(Sum sum, Lanes keys, uint32_t query) { return V::AddDots(sum, keys, query); }
  static Sum AddValues(Sum sum, Lanes values, uint32_t probabilities) {
    return V::AddDots(sum, values, probabilities);
  }
  static Sum AddLanesAt(Sum sum, Lanes lanes, const uint32_t* other) {
    return V::AddDotsAt(sum, lanes, other);
  }
  // Writes the lanes of a query, whole vectors of them.
  static LaneQuery PrepareQuery(const float* q, int64_t head_dim, uint32_t* lanes) {
    constexpr int64_t kNumbers = 2 * V::kWidth;
    for (int64_t i = 0; i < head_dim; i += kNumbers) {
      const int64_t rest = head_dim - i < kNumbers ? head_dim - i : kNumbers;
      V::StoreLanes(lanes + i / 2, LoadBfloat16<V>(q + i, rest));
    }
    return {1.0f, 0};
  }
  static typename V::Float ScoresOf(Sum sum, const LaneQuery&) { return sum; }
  // Writes the lanes of kVectors vectors of probabilities.
  template <int kVectors>
  static void PrepareProbabilities(const typename V::Float* p, uint32_t* lanes) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; v += 2) {
      V::StoreLanes(lanes + v / 2 * V::kWidth, V::RoundPairOfVectors(p[v], p[v + 1]));
    }
  }
};

// Pairs of int16: those of int8 rows, and queries and probabilities rounded to int16. A sum is at most
// 128 * 2 * 127 * 32767, below 2^31.
template <typename V>
struct Int16Lanes {
  using Sum = typename V::Pairs;
  using Lanes = typename V::Pairs;

  static constexpr int kDepths = 2;
  static constexpr int kQueryPasses = 1;
  static constexpr int kPowerDegree = kExactPower;
  static constexpr bool kIsExact = true;

  static Sum Zero() { return V::BitsAsLanes(V::Zero()); }
  static Lanes LoadKey(const uint8_t* p, int64_t count) {
    return V::LoadInt16PairsFirst(p, count);
  }
  static void LoadValues(const uint8_t* const rows[kDepths], int64_t d, int64_t count,
                         Lanes lanes[kDepths]) {
    V::InterleaveHalves(LoadKey(rows[0] + d, count), LoadKey(rows[1] + d, count), lanes);
  }
  static Sum AddKeys(Sum sum, Lanes keys, uint32_t query) {
    return V::AddInt16Dots(sum, keys, query);
  }
  static Sum AddValues(Sum sum, Lanes values, uint32_t probabilities) {
    return V::AddInt16Dots(sum, values, probabilities);
  }
  static LaneQuery PrepareQuery(const float* q, int64_t head_dim, uint32_t* lanes) {
    lanes[(head_dim - 1) / 2] = 0;  // an odd last number has no partner
    return {Float32ToInt16<V>(q, reinterpret_cast<int16_t*>(lanes), head_dim), 0};
  }
  static typename V::Float ScoresOf(Sum sum, const LaneQuery& query) {
    return V::Multiply(V::ConvertLanes(sum), V::Set(query.scale));
  }
  // Writes the lanes of kVectors vectors of probabilities times the scales of their values, of which the
  // row sees `visible`, and returns what a sum is multiplied with.
  template <int kVectors>
  static float PrepareProbabilities(const typename V::Float* p, const float* scales,
                                    int64_t visible, uint32_t* lanes) {
    return RoundProducts<V, kVectors, 32767>(p, scales, visible, reinterpret_cast<int16_t*>(lanes),
                                           V::StoreInt16First);
  }
};

// Four bytes, unsigned ones by signed ones: keys of uint8 by queries of 16 bits, whose two digits of
// base 256 pass one after the other, and values of int8 by probabilities rounded to 8 bits. A block's
// largest probability is 255 of them, so none is off by more than bfloat16 moves that one.
template <typename V>
struct ByteLanes {
  using Sum = typename V::Pairs;
  using Lanes = typename V::Pairs;

  static constexpr int kDepths = 4;
  static constexpr int kQueryPasses = 2;
  static constexpr int kPowerDegree = kRoughPower;
  static constexpr bool kIsExact = true;

  static Sum Zero() { return V::BitsAsLanes(V::Zero()); }
  static Lanes LoadKey(const uint8_t* p, int64_t count) { return V::LoadBytesFirst(p, count); }
  static void LoadValues(const uint8_t* const rows[kDepths], int64_t d, int64_t count,
                         Lanes lanes[kDepths]) {
#pragma GCC unroll 4
    for (int i = 0; i < kDepths; ++i) {
      lanes[i] = V::SignedBytes(LoadKey(rows[i] + d, count));
    }
    V::InterleaveBytes(lanes);
  }
  static Sum AddKeys(Sum sum, Lanes keys, uint32_t query) {
    return V::AddUnsignedByteDots(sum, keys, query);
  }
  static Sum AddValues(Sum sum, Lanes values, uint32_t probabilities) {
    return V::AddByteDots(sum, values, probabilities);
  }
  // The high digits fill the first half of the lanes, the low ones the second. Keys lie 128 above
  // what they stand for.
  static LaneQuery PrepareQuery(const float* q, int64_t head_dim, uint32_t* lanes) {
    int16_t numbers[kMaxHeadDim] = {};
    const float scale =
        Float32ToIntegers<V, kLargestQuery>(q, numbers, head_dim, V::StoreInt16First);
    auto* const high = reinterpret_cast<int8_t*>(lanes);
    auto* const low = high + kMaxHeadDim;
    int32_t sum = 0;
    for (int64_t i = 0; i < kMaxHeadDim; ++i) {
      low[i] = static_cast<int8_t>(numbers[i]);
      high[i] = static_cast<int8_t>((numbers[i] + 128) >> 8);
      sum += numbers[i];
    }
    return {scale, -128 * sum};
  }
  // What the sums of the high digits count in those of the low ones.
  static Sum NextPass(Sum sum) { return V::ShiftLanesLeft8(sum); }
  static typename V::Float ScoresOf(Sum sum, const LaneQuery& query) {
    return V::Multiply(V::ConvertLanes(V::AddToLanes(sum, query.offset)), V::Set(query.scale));
  }
  template <int kVectors>
  static float PrepareProbabilities(const typename V::Float* p, const float* scales,
                                    int64_t visible, uint32_t* lanes) {
    return RoundProducts<V, kVectors, 255>(p, scales, visible, reinterpret_cast<uint8_t*>(lanes),
                                         V::StoreUint8First);
  }

 private:
  static constexpr int kLargestQuery = 127 * 256;  // whose high digit is a signed byte
};

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ATTENTION_LANE_DOTS_H_
