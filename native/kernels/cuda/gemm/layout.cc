#include "kernels/cuda/gemm/layout.h"

#include <algorithm>
#include <string>

#include "kernels/cuda/runtime.h"

namespace autoglm::cuda {
GemmLayout LayoutOf(const WeightShape& shape) {
  const WeightFormat& format = shape.format;
  const WeightNumbers numbers = NumbersOf(format);
  const int unit_depth = UnitDepth(numbers);
  GemmLayout layout = {};
  layout.unit_bytes = UnitValueBytes(numbers);
  if (HasGroups(numbers)) {
    const int64_t group = format.group_size == 0 ? unit_depth : format.group_size;
    layout.unit_groups = unit_depth / static_cast<int>(std::min<int64_t>(group, unit_depth));
    const int num_scales = layout.unit_groups * kTileColumns;
    layout.unit_bytes += num_scales * static_cast<int>(DtypeBytes(format.scale_dtype));
    layout.offsets_begin = layout.unit_bytes;
    if (format.has_zero_points) layout.unit_bytes += num_scales * int{sizeof(uint16_t)};
  }
  layout.num_tiles = DivideUp(shape.columns, kTileColumns);
  layout.num_units = DivideUp(shape.depth, unit_depth);
  layout.tile_bytes = layout.num_units * layout.unit_bytes;
  if (QuantizesInput(numbers)) {
    layout.tile_bytes += kTileColumns * static_cast<int64_t>(sizeof(float));
  }
  return layout;
}

Status CheckGemmFormat(const WeightFormat& format, int capability) {
  if (NumbersOf(format) == WeightNumbers::kFp8ByFp8 && capability < kFp8Capability) {
    return Unsupported(
        "this GPU does not multiply fp8 by fp8, which those of capability 8.9 and newer do");
  }
  const int64_t group = format.group_size;
  if (!IsQuantized(format) || group == 0) return Status();
  if (group >= 32 && group <= kMaxGroupSize && (group & (group - 1)) == 0) return Status();
  return Unsupported("a GPU multiplies weights of " + std::string(WeightFormatName(format)) +
                     " in groups of 32, 64, 128 or a larger power of two up to " +
                     std::to_string(kMaxGroupSize) + ", not in groups of " +
                     std::to_string(group));
}

}  // namespace autoglm::cuda
