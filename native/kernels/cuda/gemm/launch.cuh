#ifndef AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_CUH_
#define AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_CUH_

#include "kernels/cuda/gemm/launch.h"
#include "kernels/cuda/gemm/product.cuh"

namespace autoglm::cuda {

inline ProductArgs MakeProductArgs(const GemmPlan& plan, const RowsToMultiply& rows) {
  const WeightShape& weight = rows.op.weight.shape;
  const GemmLayout layout = LayoutOf(weight);
  const WeightNumbers numbers = NumbersOf(weight.format);
  const int num_units = static_cast<int>(layout.num_units);
  return {
      .weight = static_cast<const std::byte*>(rows.op.weight.packed),
      .unit_bytes = layout.unit_bytes,
      .group_mask =
          layout.unit_groups == 0 ? 0 : UnitBlocks(numbers) / layout.unit_groups - 1,
      .offsets_begin = layout.offsets_begin,
      .scale_dtype = weight.format.scale_dtype,
      .num_units = num_units,
      .num_tiles = static_cast<int>(layout.num_tiles),
      .tile_bytes = layout.tile_bytes,
      .x_blocks = rows.x_blocks,
      .x_tile_bytes = InputRowBytes(weight) * kTileRows,
      .x_rows = rows.x.data,
      .x_stride = rows.x.stride,
      .x_scales = rows.x_scales,
      .bias = rows.op.bias,
      .y = rows.y.data,
      .y_stride = rows.y.stride,
      .num_rows = static_cast<int>(rows.y.rows),
      .num_columns = static_cast<int>(weight.columns),
      .depth = static_cast<int>(weight.depth),
      .num_row_blocks = plan.num_row_blocks,
      .num_column_blocks = plan.num_column_blocks,
      .units_per_block = plan.num_depth_blocks == 1 ? num_units : kChunkDepth / UnitDepth(numbers),
      .partials = rows.partials,
      .arrivals = rows.arrivals,
  };
}

template <typename Weight, RowCount kRowCount>
void LaunchProductOf(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  using Kernel = Product<Weight, kRowCount>;
  const ProductArgs args = MakeProductArgs(plan, rows);
  Launch<Kernel>(stream,
                 {.x = plan.num_row_blocks * plan.num_column_blocks, .y = plan.num_depth_blocks},
                 Kernel::SharedBytes(args.unit_bytes), args);
}

template <typename Weight>
void LaunchProduct(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  switch (plan.count) {
    case RowCount::kFew:
      return LaunchProductOf<Weight, RowCount::kFew>(stream, plan, rows);
    case RowCount::kSome:
      return LaunchProductOf<Weight, RowCount::kSome>(stream, plan, rows);
    case RowCount::kMore:
      return LaunchProductOf<Weight, RowCount::kMore>(stream, plan, rows);
    case RowCount::kMany:
      return LaunchProductOf<Weight, RowCount::kMany>(stream, plan, rows);
  }
}

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_CUH_
