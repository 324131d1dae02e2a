#include "kernels/packing/quantize_rows.h"

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"

namespace autoglm {
namespace {

float RoundScale(Dtype dtype, float scale) {
  switch (dtype) {
    case Dtype::kBfloat16:
      return BFloat16ToFloat(FloatToBFloat16(scale));
    case Dtype::kFloat16:
      return Float16ToFloat(FloatToFloat16(scale));
    case Dtype::kFloat32:
      return scale;
  }
  return scale;
}

// Returns the scale's inverse; a scale whose quotient overflows stands for zeros.
float InverseOf(float scale) { return std::abs(scale) < 0x1p-126f ? 0.0f : 1.0f / scale; }

}  // namespace

bool QuantizeRow(const kernels::ConvertKernels& convert, const WeightFormat& format,
                 const float* row, int64_t depth, const QuantizedRow& quantized) {
  const bool is_int4 = format.type == WeightType::kInt4;
  const int64_t group_size = format.group_size == 0 ? depth : format.group_size;
  for (int64_t begin = 0, group = 0; begin < depth; begin += group_size, ++group) {
    const int64_t count = std::min(group_size, depth - begin);
    const kernels::FloatRange range = convert.float32_range(row + begin, count);
    if (std::isnan(range.max)) return false;
    const float extreme = range.max > -range.min ? range.max : range.min;
    const float exact = is_int4 ? extreme / -8.0f : std::abs(extreme) / 127.0f;
    const float scale = RoundScale(format.scale_dtype, exact);
    quantized.scales[group] = scale;
    convert.float32_to_int8({.x = row + begin,
                             .inverse = InverseOf(scale),
                             .smallest = is_int4 ? -8.0f : -127.0f,
                             .largest = is_int4 ? 7.0f : 127.0f,
                             .y = quantized.values + begin,
                             .count = count});
  }
  return true;
}

}  // namespace autoglm
