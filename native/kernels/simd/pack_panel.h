#ifndef AUTOGLM_KERNELS_SIMD_PACK_PANEL_H_
#define AUTOGLM_KERNELS_SIMD_PACK_PANEL_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/pack_quantized_panel.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/transposed_lanes.h"

namespace autoglm::kernels {
namespace {

// Rows of 16-bit numbers, two depths a lane; an odd last depth is paired with zero.
template <typename V>
struct PairRows {
  const uint16_t* rows;
  int64_t stride;
  int64_t depth;

  int64_t NumLanes() const { return (depth + 1) / 2; }
  int64_t NumWholeLanes() const { return depth / 2; }
  typename V::Float Load(int64_t row, int64_t lane) const {
    return V::LanesAsBits(
        V::LoadPairs(reinterpret_cast<const uint32_t*>(rows + row * stride + 2 * lane)));
  }
  uint32_t One(int64_t row, int64_t lane) const {
    const uint16_t* pair = rows + row * stride + 2 * lane;
    const uint32_t odd = 2 * lane + 1 < depth ? pair[1] : 0u;
    return pair[0] | odd << 16;
  }
};

template <typename V>
void PackFloat32(const PackPanelArgs& args) {
  const LaneRows<V> rows = {static_cast<const uint32_t*>(args.rows), args.depth, args.depth};
  TransposeLanes<V>(rows, args.num_rows, static_cast<uint32_t*>(args.panel));
}

template <typename V>
void PackBfloat16(const PackPanelArgs& args) {
  const PairRows<V> rows = {static_cast<const uint16_t*>(args.rows), args.depth, args.depth};
  TransposeLanes<V>(rows, args.num_rows, static_cast<uint32_t*>(args.panel));
}

// Packs pairs of depths, a few at a time, and takes the pairs apart: [depth][kPanelWidth] of 16
// bits.
template <typename V>
void PackFloat16(const PackPanelArgs& args) {
  const uint16_t* const all = static_cast<const uint16_t*>(args.rows);
  uint16_t* panel = static_cast<uint16_t*>(args.panel);
  uint32_t pairs[kLaneBlock * kPanelWidth<V>];
  for (int64_t begin = 0; begin < args.depth; begin += 2 * kLaneBlock) {
    const int64_t rest = args.depth - begin;
    const int64_t count = rest < 2 * kLaneBlock ? rest : 2 * kLaneBlock;
    const PairRows<V> rows = {all + begin, args.depth, count};
    TransposeLanes<V>(rows, args.num_rows, pairs);
    for (int64_t d = 0; d < count; ++d, panel += kPanelWidth<V>) {
      const uint32_t* const lanes = pairs + d / 2 * kPanelWidth<V>;
      const int shift = d % 2 == 0 ? 0 : 16;
      for (int64_t n = 0; n < kPanelWidth<V>; ++n) {
        panel[n] = static_cast<uint16_t>(lanes[n] >> shift);
      }
    }
  }
}

template <typename V>
void PackPanel(const PackPanelArgs& args) {
  switch (args.format.type) {
    case WeightType::kFloat32:
      return PackFloat32<V>(args);
    case WeightType::kFloat16:
      return PackFloat16<V>(args);
    case WeightType::kBfloat16:
      return PackBfloat16<V>(args);
    case WeightType::kInt8:
    case WeightType::kInt4:
    case WeightType::kFp8:
      return PackQuantizedPanel<V>(args);
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_PACK_PANEL_H_
