#include <algorithm>
#include <bit>

#include "base/float_bits.h"
#include "kernels/reference/quantized_gemm.h"
#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

// A panel of floats holds kPanelWidth output columns as [depth][kPanelWidth], so that the inner
// loop runs over columns and each column's sum grows strictly in the order of depth.

size_t PanelBytes(const WeightFormat& format, int64_t depth) {
  if (IsQuantized(format)) return QuantizedPanelBytes(format, depth);
  const size_t bytes =
      static_cast<size_t>(depth) * kPanelWidth * DtypeBytes(UnpackedDtype(format));
  return (bytes + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
}

template <typename T>
void PackPanelOf(const PackPanelArgs& args) {
  const T* rows = static_cast<const T*>(args.rows);
  T* panel = static_cast<T*>(args.panel);
  for (int64_t d = 0; d < args.depth; ++d) {
    for (int64_t n = 0; n < kPanelWidth; ++n) {
      panel[d * kPanelWidth + n] = n < args.num_rows ? rows[n * args.depth + d] : T{0};
    }
  }
}

void PackPanel(const PackPanelArgs& args) {
  switch (args.format.type) {
    case WeightType::kFloat32:
      return PackPanelOf<uint32_t>(args);
    case WeightType::kBfloat16:
    case WeightType::kFloat16:
      return PackPanelOf<uint16_t>(args);
    case WeightType::kInt8:
    case WeightType::kInt4:
    case WeightType::kFp8:
      return PackQuantizedPanel(args);
  }
}

float ReadFloat32(uint32_t bits) { return std::bit_cast<float>(bits); }

// Sets sums[n] to the dot product of one row of x with column n of the panel.
template <typename X, float (*kReadX)(X), typename W, float (*kReadWeight)(W)>
void MultiplyPanel(const X* x, const W* panel, int64_t depth, float sums[kPanelWidth]) {
  for (int64_t n = 0; n < kPanelWidth; ++n) sums[n] = 0.0f;
  for (int64_t d = 0; d < depth; ++d) {
    const float value = kReadX(x[d]);
    for (int64_t n = 0; n < kPanelWidth; ++n) {
      sums[n] += value * kReadWeight(panel[d * kPanelWidth + n]);
    }
  }
}

template <typename X, float (*kReadX)(X), typename W, float (*kReadWeight)(W)>
void MultiplyOf(const GemmArgs& args) {
  const size_t panel_bytes = PanelBytes(args.format, args.depth);
  for (int64_t column = 0; column < args.num_columns; column += kPanelWidth) {
    const W* panel =
        reinterpret_cast<const W*>(static_cast<const char*>(args.panels) +
                                   static_cast<size_t>(column / kPanelWidth) * panel_bytes);
    const int64_t width = std::min(kPanelWidth, args.num_columns - column);
    for (int64_t row = 0; row < args.num_rows; ++row) {
      const X* x = static_cast<const X*>(args.x) + row * args.x_stride;
      float sums[kPanelWidth];
      MultiplyPanel<X, kReadX, W, kReadWeight>(x, panel, args.depth, sums);
      float* y = args.y + row * args.y_stride + column;
      for (int64_t n = 0; n < width; ++n) {
        y[n] = args.bias == nullptr ? sums[n] : sums[n] + args.bias[column + n];
      }
    }
  }
}

template <typename X, float (*kReadX)(X)>
void MultiplyX(const GemmArgs& args) {
  switch (args.format.type) {
    case WeightType::kFloat32:
      return MultiplyOf<X, kReadX, uint32_t, ReadFloat32>(args);
    case WeightType::kBfloat16:
      return MultiplyOf<X, kReadX, uint16_t, BFloat16ToFloat>(args);
    case WeightType::kFloat16:
      return MultiplyOf<X, kReadX, uint16_t, Float16ToFloat>(args);
    case WeightType::kInt8:
    case WeightType::kInt4:
    case WeightType::kFp8:
      return MultiplyQuantized(args);
  }
}

void Multiply(const GemmArgs& args) {
  if (args.x_dtype == Dtype::kBfloat16) {
    MultiplyX<uint16_t, BFloat16ToFloat>(args);
  } else {
    MultiplyX<uint32_t, ReadFloat32>(args);
  }
}

GemmTask LargestTask(const WeightFormat&, Dtype, int64_t, int64_t) {
  return {.num_rows = 64, .num_panels = 1};
}

}  // namespace

GemmKernels Gemm() {
  return {.isa = "reference",
          .panel_width = kPanelWidth,
          .panel_bytes = PanelBytes,
          .pack_panel = PackPanel,
          .multiply = Multiply,
          .largest_task = LargestTask,
          .scratch_bytes = 0,
          .arrange_row = nullptr};
}

}  // namespace autoglm::kernels::reference
