#ifndef AUTOGLM_KERNELS_SIMD_PACKED_LANES_H_
#define AUTOGLM_KERNELS_SIMD_PACKED_LANES_H_

#include <cstdint>

namespace autoglm::kernels {
namespace {

// Integers of several consecutive depths of a column in one 32-bit lane, so that a register is read
// once and unpacked without leaving it.
struct PackedLanes {
  const uint32_t* data;  // [ceil(depth / kDepths)][stride]
  int64_t stride;
  int64_t panel_stride;  // from a panel to the next

  // Returns vector v of a depth, counted through all panels.
  template <typename V>
  typename V::Pairs At(int v) const {
    return V::LoadPairs(data + v / V::kTileVectors * panel_stride +
                        v % V::kTileVectors * V::kWidth);
  }
};

// Four int8, the first depth in the lowest byte: the order in which processors multiply bytes.
template <typename V>
struct Int8Lanes {
  static constexpr int kDepths = 4;

  static constexpr int ShiftOf(int depth) { return 8 * depth; }

  template <int kDepth>
  static typename V::Float At(typename V::Pairs lanes) {
    return V::template SignedByte<kDepth>(lanes);
  }
};

// Eight int4, even depths in the low half of a lane and odd ones in the high half, each from the
// lowest bits up: the same shift of both halves gives a pair of depths.
template <typename V>
struct Int4Lanes {
  static constexpr int kDepths = 8;

  static constexpr int ShiftOf(int depth) { return depth / 2 * 4 + depth % 2 * 16; }

  template <int kDepth>
  static typename V::Float At(typename V::Pairs lanes) {
    return V::template SignedNibble<ShiftOf(kDepth)>(lanes);
  }
};

template <int kIndex>
struct Index {
  static constexpr int kValue = kIndex;
};

// Calls visit(Index<i>()) for i in kBegin..kCount - 1: a loop whose counter is a constant, as the
// operands of shifts must be.
template <int kCount, int kBegin = 0, typename Visit>
[[gnu::always_inline]] inline void ForEachIndex(const Visit& visit) {
  if constexpr (kBegin < kCount) {
    visit(Index<kBegin>());
    ForEachIndex<kCount, kBegin + 1>(visit);
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_PACKED_LANES_H_
