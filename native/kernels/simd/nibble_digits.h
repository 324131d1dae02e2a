#ifndef AUTOGLM_KERNELS_SIMD_NIBBLE_DIGITS_H_
#define AUTOGLM_KERNELS_SIMD_NIBBLE_DIGITS_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/packed_lanes.h"
#include "kernels/simd/panel_block.h"

namespace autoglm::kernels {
namespace {

// Products of int4 with one row of int16 by bytes: each int16 is two digits of base 256, of which the
// high one is signed, and each int4 a byte, 8 above what it stands for. So a lane of eight int4 becomes
// bytes in three instructions, where pairs of int16 take seven. The sums are those of the pairs, exactly.

// Lanes whose products of low digits fit int16, 2 * 2 * 255 * 15 each, and those whose products of high
// digits do.
constexpr int64_t kLanesPerLowSum = 2;
constexpr int64_t kLanesPerHighSum = 4;

// The digits of a row's part, eight numbers after another: the high digits of those that stand in the
// lower nibbles of a lane, of those in the upper nibbles, and the low digits of both.
template <typename V>
class DigitRow {
 public:
  static constexpr int64_t kLaneBytes = 16;  // of eight numbers
  static constexpr int64_t kStep = 8 * kLanesPerLowSum;

  // depth: at most kDepthBlock; it and the depth of a group are multiples of kStep.
  DigitRow(const int16_t* x, int64_t depth, int64_t group_depth) : group_depth_(group_depth) {
    for (int64_t d = 0; d < depth; d += 8) V::StoreDigits(x + d, bytes_ + 2 * d);
    for (int64_t begin = 0; begin < depth; begin += group_depth) {
      const int64_t rest = depth - begin;
      sums_[begin / group_depth] = Sum(x + begin, rest < group_depth ? rest : group_depth);
    }
  }

  // Returns the digits from a depth on, and the sum of the group that begins there.
  const uint8_t* From(int64_t begin) const { return bytes_ + 2 * begin; }
  int32_t SumFrom(int64_t begin) const { return sums_[begin / group_depth_]; }

 private:
  static_assert(kStep % (2 * V::kWidth) == 0);

  static int32_t Sum(const int16_t* x, int64_t count) {
    typename V::Pairs sums = V::BitsAsLanes(V::Zero());
    for (int64_t i = 0; i < count; i += 2 * V::kWidth) {
      sums = V::AddHalvesTimes(sums, V::LoadHalves(x + i), 1);
    }
    return V::SumLanes(sums);
  }

  const int64_t group_depth_;
  alignas(64) uint8_t bytes_[2 * kDepthBlock];
  int32_t sums_[kDepthBlock / kStep];  // of the groups
};

// Adds the products of kLanesPerLowSum lanes to those of the high digits, [kVectors], and returns those
// of the low ones.
template <typename V, int kVectors>
[[gnu::always_inline]] inline void AddDigitProducts(const uint8_t* digits,
                                                    const PackedLanes& weights,
                                                    typename V::Pairs high[kVectors],
                                                    typename V::Pairs low[kVectors]) {
  PackedLanes lanes = weights;
  ForEachIndex<kLanesPerLowSum>([&](auto index) __attribute__((always_inline)) {
    const uint8_t* of_lane = digits + index.kValue * DigitRow<V>::kLaneBytes;
    const typename V::Pairs high_lower = V::BroadcastLane(of_lane);
    const typename V::Pairs high_upper = V::BroadcastLane(of_lane + 4);
    const typename V::Pairs low_lower = V::BroadcastLane(of_lane + 8);
    const typename V::Pairs low_upper = V::BroadcastLane(of_lane + 12);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const typename V::Pairs nibbles = V::NibblesAbove8(lanes.At<V>(v));
      const typename V::Pairs lower = V::LowerNibbles(nibbles);
      const typename V::Pairs upper = V::UpperNibbles(nibbles);
      high[v] = V::Pin(V::AddHalves(high[v], V::MultiplyBytes(lower, high_lower)));
      high[v] = V::Pin(V::AddHalves(high[v], V::MultiplyBytes(upper, high_upper)));
      low[v] = V::Pin(V::AddHalves(low[v], V::MultiplyBytes(low_lower, lower)));
      low[v] = V::Pin(V::AddHalves(low[v], V::MultiplyBytes(low_upper, upper)));
    }
    lanes.data += lanes.stride;
  });
}

// Returns true if every group is whole steps of digits.
template <typename V>
bool FitDigits(int64_t depth, int64_t group_depth) {
  return depth % DigitRow<V>::kStep == 0 && group_depth % DigitRow<V>::kStep == 0;
}

// Sets sums to the products of depths begin..end - 1 of a row with lanes of int4, of a single panel. A
// function of its own, and of few sums: the compiler keeps them in registers then.
template <typename V, int kVectors>
[[gnu::noinline]] void MultiplyDigits(const DigitRow<V>& row, int64_t begin, int64_t end,
                                      PackedLanes weights, typename V::Pairs sums[kVectors]) {
  using Pairs = typename V::Pairs;
  const Pairs zero = V::BitsAsLanes(V::Zero());
  Pairs local[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) local[v] = V::SetLanes(-8 * row.SumFrom(begin));
  const uint8_t* digits = row.From(begin);
  const int64_t num_lanes = (end - begin) / 8;
  for (int64_t lane = 0; lane < num_lanes; lane += kLanesPerHighSum) {
    Pairs high[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) high[v] = zero;
    for (int64_t part = lane; part < lane + kLanesPerHighSum && part < num_lanes;
         part += kLanesPerLowSum) {
      Pairs low[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) low[v] = zero;
      AddDigitProducts<V, kVectors>(digits, weights, high, low);
      digits += kLanesPerLowSum * DigitRow<V>::kLaneBytes;
      weights.data += kLanesPerLowSum * weights.stride;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) local[v] = V::AddHalvesTimes(local[v], low[v], 1);
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) local[v] = V::AddHalvesTimes(local[v], high[v], 256);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) sums[v] = local[v];
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_NIBBLE_DIGITS_H_
