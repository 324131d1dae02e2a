#ifndef AUTOGLM_KERNELS_SIMD_PACK_QUANTIZED_PANEL_H_
#define AUTOGLM_KERNELS_SIMD_PACK_QUANTIZED_PANEL_H_

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/simd/packed_lanes.h"
#include "kernels/simd/panel_block.h"
#include "kernels/simd/quantized_panel.h"
#include "kernels/simd/transposed_lanes.h"

namespace autoglm::kernels {
namespace {

// Returns the lane of `count` consecutive numbers of a column; the rest of it is zeros.
template <typename Lanes>
uint32_t PackLane(const int8_t* values, int64_t count) {
  constexpr uint32_t kMask = Lanes::kDepths == 8 ? 0xfu : 0xffu;
  uint32_t lane = 0;
#pragma GCC unroll 8
  for (int i = 0; i < Lanes::kDepths; ++i) {
    if (i >= count) break;
    lane |= (static_cast<uint32_t>(values[i]) & kMask) << Lanes::ShiftOf(i);
  }
  return lane;
}

// Rows of int8, four a lane.
template <typename V>
struct Int8Rows {
  const int8_t* rows;  // [rows, stride]
  int64_t stride;
  int64_t depth;

  int64_t NumLanes() const { return (depth + 3) / 4; }
  int64_t NumWholeLanes() const { return depth / 4; }
  typename V::Float Load(int64_t row, int64_t lane) const {
    const int8_t* const first = rows + row * stride + 4 * lane;
    return V::LanesAsBits(V::LoadPairs(reinterpret_cast<const uint32_t*>(first)));
  }
  uint32_t One(int64_t row, int64_t lane) const {
    return PackLane<Int8Lanes<V>>(rows + row * stride + 4 * lane, depth - 4 * lane);
  }
};

// How far ahead a row of integers is asked for.
constexpr int64_t kPrefetchBytes = 512;

// Joins the int4 of a row, one a byte, to lanes.
template <typename V>
void JoinInt4(const int8_t* values, int64_t depth, uint32_t* lanes) {
  int64_t lane = 0;
  for (; 8 * (lane + V::kWidth) <= depth; lane += V::kWidth) {
    // Groups are short, and the processor does not follow so many rows by itself.
    for (int64_t line = 0; line < 8 * V::kWidth; line += 64) {
      __builtin_prefetch(values + 8 * lane + line + kPrefetchBytes);
    }
    V::StoreLanes(lanes + lane, V::JoinNibbles(values + 8 * lane));
  }
  for (; 8 * lane < depth; ++lane) {
    lanes[lane] = PackLane<Int4Lanes<V>>(values + 8 * lane, depth - 8 * lane);
  }
}

// Packs the integers of `depth` depths from `begin` on and returns the end of their lanes.
template <typename V>
char* PackInt8Group(const PackPanelArgs& args, int64_t begin, int64_t depth, char* group) {
  const Int8Rows<V> rows = {static_cast<const int8_t*>(args.rows) + begin, args.depth, depth};
  TransposeLanes<V>(rows, args.num_rows, reinterpret_cast<uint32_t*>(group));
  return group + rows.NumLanes() * kPanelWidth<V> * 4;
}

// Does the same for int4, whose lanes are joined first, a few at a time.
template <typename V>
char* PackInt4Group(const PackPanelArgs& args, int64_t begin, int64_t depth, char* group) {
  uint32_t joined[kPanelWidth<V> * kLaneBlock];
  const int8_t* const values = static_cast<const int8_t*>(args.rows) + begin;
  for (int64_t first = 0; first < depth; first += 8 * kLaneBlock) {
    const int64_t rest = depth - first;
    const int64_t count = rest < 8 * kLaneBlock ? rest : 8 * kLaneBlock;
    for (int64_t n = 0; n < args.num_rows; ++n) {
      JoinInt4<V>(values + n * args.depth + first, count, joined + n * kLaneBlock);
    }
    const LaneRows<V> rows = {joined, kLaneBlock, (count + 7) / 8};
    TransposeLanes<V>(rows, args.num_rows, reinterpret_cast<uint32_t*>(group));
    group += rows.num_lanes * kPanelWidth<V> * 4;
  }
  return group;
}

template <typename V>
void StoreScale(Dtype dtype, float scale, int64_t n, char* scales) {
  const typename V::Float value = V::Set(scale);
  switch (dtype) {
    case Dtype::kFloat32:
      return V::StoreFirst(reinterpret_cast<float*>(scales) + n, value, 1);
    case Dtype::kBfloat16:
      return V::StoreBfloat16First(reinterpret_cast<uint16_t*>(scales) + n, value, 1);
    case Dtype::kFloat16:
      return V::StoreFloat16First(reinterpret_cast<uint16_t*>(scales) + n, value, 1);
  }
}

// Writes -128 * the sum of each column's integers, modulo 2^32.
template <typename V>
void StoreNegatedOffsets(const uint32_t* lanes, int64_t num_lanes, uint32_t* offsets) {
  constexpr uint32_t kFour128 = 0x80808080u;
  for (int64_t first = 0; first < kPanelWidth<V>; first += V::kWidth) {
    typename V::Pairs sum = V::BitsAsLanes(V::Zero());
    for (int64_t lane = 0; lane < num_lanes; ++lane) {
      sum = V::AddByteDots(sum, V::LoadPairs(lanes + lane * kPanelWidth<V> + first), kFour128);
    }
    V::StoreLanes(offsets + first, sum);
    for (int64_t i = 0; i < V::kWidth; ++i) offsets[first + i] = 0u - offsets[first + i];
  }
}

// Packs the numbers that stand behind the integers of group g.
template <typename V>
void PackGroupExtras(const PackPanelArgs& args, const QuantizedLayout<V>& layout, int64_t g,
                     char* group) {
  char* const scales = group + layout.scale_offset;
  char* const extra = group + layout.extra_offset;
  if (args.num_rows < kPanelWidth<V>) {
    __builtin_memset(scales, 0, static_cast<size_t>(layout.group_bytes - layout.scale_offset));
  }
  for (int64_t n = 0; n < args.num_rows; ++n) {
    const int64_t index = n * layout.num_groups + g;
    StoreScale<V>(args.format.scale_dtype, args.scales[index], n, scales);
    if (args.format.has_zero_points) {
      reinterpret_cast<int8_t*>(extra)[n] = args.zero_points[index];
    }
  }
  if (!args.format.quantizes_input) return;
  StoreNegatedOffsets<V>(reinterpret_cast<const uint32_t*>(group),
                         layout.scale_offset / (kPanelWidth<V> * 4),
                         reinterpret_cast<uint32_t*>(extra));
}

template <typename V>
void PackQuantizedPanel(const PackPanelArgs& args) {
  const QuantizedLayout<V> layout(args.format, args.depth);
  const bool is_int4 = args.format.type == WeightType::kInt4;
  char* const panel = static_cast<char*>(args.panel);
  char* const panel_end = panel + QuantizedPanelBytes<V>(args.format, args.depth);
  for (int64_t g = 0; g < layout.num_groups; ++g) {
    char* const group = panel + g * layout.group_bytes;
    const int64_t begin = g * layout.group_depth;
    const int64_t rest = args.depth - begin;
    const int64_t depth = rest < layout.group_depth ? rest : layout.group_depth;
    char* const lanes_end = is_int4 ? PackInt4Group<V>(args, begin, depth, group)
                                    : PackInt8Group<V>(args, begin, depth, group);
    // The last group may lack lanes, and padding follows it.
    if (g + 1 == layout.num_groups) {
      __builtin_memset(lanes_end, 0, static_cast<size_t>(panel_end - lanes_end));
    }
    if (depth > 0) PackGroupExtras(args, layout, g, group);
  }
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_PACK_QUANTIZED_PANEL_H_
