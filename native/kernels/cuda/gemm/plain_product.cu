#include "base/check.h"
#include "kernels/cuda/gemm/launch.h"
#include "kernels/cuda/gemm/plain_product.cuh"

namespace autoglm::cuda {
namespace {

template <typename Weight>
void Launch(Stream& stream, const PlainProductArgs& args) {
  using Kernel = PlainProduct<Weight>;
  cuda::Launch<Kernel>(stream,
                       {.x = (args.num_columns + Kernel::kThreads - 1) / Kernel::kThreads,
                        .y = (args.num_rows + Kernel::kBlockRows - 1) / Kernel::kBlockRows},
                       Kernel::kSharedBytes, args);
}

}  // namespace

void LaunchPlainProduct(Stream& stream, const GemmOp& op) {
  const WeightShape& weight = op.weight.shape;
  const WeightFormat& format = weight.format;
  const GemmLayout layout = LayoutOf(weight);
  const int unit_depth = UnitDepth(NumbersOf(format));
  const PlainProductArgs args = {
      .weight = static_cast<const std::byte*>(op.weight.packed),
      .unit_bytes = layout.unit_bytes,
      .offsets_begin = layout.offsets_begin,
      .scale_dtype = format.scale_dtype,
      .group_depth = layout.unit_groups == 0 ? unit_depth : unit_depth / layout.unit_groups,
      .num_units = static_cast<int>(layout.num_units),
      .tile_bytes = layout.tile_bytes,
      .x = op.x.data,
      .x_stride = op.x.stride,
      .rounds_input = op.activation_dtype == Dtype::kBfloat16,
      .bias = op.bias,
      .y = op.y.data,
      .y_stride = op.y.stride,
      .num_rows = static_cast<int>(op.y.rows),
      .num_columns = static_cast<int>(weight.columns),
      .depth = static_cast<int>(weight.depth),
  };
  switch (format.type) {
    case WeightType::kFloat32:
      return Launch<Float32Weight>(stream, args);
    case WeightType::kBfloat16:
      return Launch<Bfloat16Weight>(stream, args);
    case WeightType::kFloat16:
      return Launch<Float16Weight>(stream, args);
    case WeightType::kInt8:
      if (format.has_zero_points) return Launch<Int8Weight<true>>(stream, args);
      return Launch<Int8Weight<false>>(stream, args);
    case WeightType::kInt4:
      if (format.has_zero_points) return Launch<Int4Weight<true>>(stream, args);
      return Launch<Int4Weight<false>>(stream, args);
    case WeightType::kFp8:
      return Launch<Fp8Weight>(stream, args);
  }
}

}  // namespace autoglm::cuda
