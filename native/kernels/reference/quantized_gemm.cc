#include "kernels/reference/quantized_gemm.h"

#include <algorithm>
#include <cstring>

#include "base/float_bits.h"

namespace autoglm::kernels::reference {
namespace {

// The parts of a panel of integers. At this level an int4 takes a byte too.
struct QuantizedPanel {
  float* scales;        // [groups][kPanelWidth]
  int8_t* zero_points;  // [groups][kPanelWidth]
  int8_t* values;       // [depth][kPanelWidth]
};

QuantizedPanel PanelAt(void* panel, int64_t num_groups) {
  float* const scales = static_cast<float*>(panel);
  int8_t* const zero_points = reinterpret_cast<int8_t*>(scales + num_groups * kPanelWidth);
  return {scales, zero_points, zero_points + num_groups * kPanelWidth};
}

float ReadInput(const GemmArgs& args, int64_t row, int64_t depth) {
  const int64_t index = row * args.x_stride + depth;
  if (args.x_dtype == Dtype::kFloat32) return static_cast<const float*>(args.x)[index];
  return BFloat16ToFloat(static_cast<const uint16_t*>(args.x)[index]);
}

// Returns the product of a row with column n of a panel: the sum over groups of scale * sum of
// x * (q - zero point).
float MultiplyFloats(const GemmArgs& args, const QuantizedPanel& panel, int64_t row, int64_t n) {
  const int64_t group_size = args.format.group_size == 0 ? args.depth : args.format.group_size;
  float total = 0.0f;
  for (int64_t begin = 0; begin < args.depth; begin += group_size) {
    const int64_t group = begin / group_size * kPanelWidth + n;
    const int64_t end = std::min(begin + group_size, args.depth);
    float sum = 0.0f;
    for (int64_t d = begin; d < end; ++d) {
      sum += ReadInput(args, row, d) *
             static_cast<float>(panel.values[d * kPanelWidth + n] - panel.zero_points[group]);
    }
    total += panel.scales[group] * sum;
  }
  return total;
}

// Returns the product of a row of integers with column n of a panel.
float MultiplyIntegers(const GemmArgs& args, const QuantizedPanel& panel, int64_t row, int64_t n) {
  const uint8_t* x = static_cast<const uint8_t*>(args.x) + row * args.x_stride;
  int32_t sum = 0;
  for (int64_t d = 0; d < args.depth; ++d) sum += (x[d] - 128) * panel.values[d * kPanelWidth + n];
  return static_cast<float>(sum) * panel.scales[n] * args.x_scales[row];
}

}  // namespace

size_t QuantizedPanelBytes(const WeightFormat& format, int64_t depth) {
  const int64_t bytes_per_column =
      depth + NumGroups(format, depth) * static_cast<int64_t>(sizeof(float) + sizeof(int8_t));
  const size_t bytes = static_cast<size_t>(bytes_per_column * kPanelWidth);
  return (bytes + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

void PackQuantizedPanel(const PackPanelArgs& args) {
  const int64_t num_groups = NumGroups(args.format, args.depth);
  std::memset(args.panel, 0, QuantizedPanelBytes(args.format, args.depth));
  const QuantizedPanel panel = PanelAt(args.panel, num_groups);
  const int8_t* rows = static_cast<const int8_t*>(args.rows);
  for (int64_t n = 0; n < args.num_rows; ++n) {
    for (int64_t d = 0; d < args.depth; ++d) {
      panel.values[d * kPanelWidth + n] = rows[n * args.depth + d];
    }
    for (int64_t group = 0; group < num_groups; ++group) {
      panel.scales[group * kPanelWidth + n] = args.scales[n * num_groups + group];
      if (!args.format.has_zero_points) continue;
      panel.zero_points[group * kPanelWidth + n] = args.zero_points[n * num_groups + group];
    }
  }
}

void MultiplyQuantized(const GemmArgs& args) {
  const size_t panel_bytes = QuantizedPanelBytes(args.format, args.depth);
  const int64_t num_groups = NumGroups(args.format, args.depth);
  const char* panels = static_cast<const char*>(args.panels);
  for (int64_t column = 0; column < args.num_columns; ++column) {
    const char* bytes = panels + static_cast<size_t>(column / kPanelWidth) * panel_bytes;
    const QuantizedPanel panel = PanelAt(const_cast<char*>(bytes), num_groups);
    const int64_t n = column % kPanelWidth;
    for (int64_t row = 0; row < args.num_rows; ++row) {
      const float product = args.format.quantizes_input ? MultiplyIntegers(args, panel, row, n)
                                                        : MultiplyFloats(args, panel, row, n);
      args.y[row * args.y_stride + column] =
          args.bias == nullptr ? product : product + args.bias[column];
    }
  }
}

}  // namespace autoglm::kernels::reference
