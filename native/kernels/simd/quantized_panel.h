#ifndef AUTOGLM_KERNELS_SIMD_QUANTIZED_PANEL_H_
#define AUTOGLM_KERNELS_SIMD_QUANTIZED_PANEL_H_

#include "kernels/kernels.h"
#include "kernels/simd/packed_lanes.h"
#include "kernels/simd/panel_block.h"

namespace autoglm::kernels {
namespace {

// Where the parts of a panel of integers lie. It holds one group of depths after another, each as
// lanes [ceil(group depth / kDepths)][kPanelWidth], scales [kPanelWidth], then zero points
// [kPanelWidth] of int8, or, if the input is quantized, what its offset of 128 adds to each column,
// negated: [kPanelWidth] of int32. So one stream of memory has all that a group needs.
template <typename V>
struct QuantizedLayout {
  int64_t num_groups;   // at least 1, also of no depth
  int64_t group_depth;  // of all groups but the last
  int64_t lane_depths;
  int64_t scale_offset;  // bytes from the start of a group
  int64_t extra_offset;  // zero points or negated offsets
  int64_t group_bytes;

  QuantizedLayout(const WeightFormat& format, int64_t depth) {
    const bool is_whole = format.group_size == 0 || format.group_size >= depth;
    group_depth = is_whole ? depth : format.group_size;
    num_groups = is_whole ? 1 : NumGroups(format, depth);
    lane_depths = format.type == WeightType::kInt4 ? Int4Lanes<V>::kDepths : Int8Lanes<V>::kDepths;
    const int64_t lanes = (group_depth + lane_depths - 1) / lane_depths;
    const int64_t extra_bytes = format.quantizes_input ? 4 : format.has_zero_points ? 1 : 0;
    scale_offset = lanes * kPanelWidth<V> * 4;
    extra_offset = scale_offset + kPanelWidth<V> * (format.scale_dtype == Dtype::kFloat32 ? 4 : 2);
    group_bytes = extra_offset + kPanelWidth<V> * extra_bytes;
  }

  // Returns the lanes of a group from a depth on, which begins a lane.
  const uint32_t* LanesAt(const char* group, int64_t depth) const {
    return reinterpret_cast<const uint32_t*>(group) + depth / lane_depths * kPanelWidth<V>;
  }
};

template <typename V>
size_t QuantizedPanelBytes(const WeightFormat& format, int64_t depth) {
  const QuantizedLayout<V> layout(format, depth);
  const size_t bytes = static_cast<size_t>(layout.num_groups * layout.group_bytes);
  return (bytes + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

// Returns vector v of a group's scales, of a single panel.
template <typename V>
typename V::Float LoadScales(Dtype dtype, const char* scales, int v) {
  switch (dtype) {
    case Dtype::kFloat32:
      return V::Load(reinterpret_cast<const float*>(scales) + v * V::kWidth);
    case Dtype::kBfloat16:
      return V::Load(reinterpret_cast<const uint16_t*>(scales) + v * V::kWidth);
    case Dtype::kFloat16:
      return V::LoadFloat16(reinterpret_cast<const uint16_t*>(scales) + v * V::kWidth);
  }
  return V::Zero();
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_QUANTIZED_PANEL_H_
