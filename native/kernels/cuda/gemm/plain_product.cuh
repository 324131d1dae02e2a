#ifndef AUTOGLM_KERNELS_CUDA_GEMM_PLAIN_PRODUCT_CUH_
#define AUTOGLM_KERNELS_CUDA_GEMM_PLAIN_PRODUCT_CUH_

#include "kernels/cuda/gemm/weights.cuh"

// Products in float32, for weights or inputs that tensor cores would round. A thread takes a column
// and 8 rows, and adds one product after another, group by group. Small projections and tests use
// it, so it is as plain as it can be: every thread reads its column by itself.

namespace autoglm::cuda {

struct PlainProductArgs {
  const std::byte* weight;  // packed
  int unit_bytes;
  int offsets_begin;
  Dtype scale_dtype;
  int group_depth;  // at most that of a unit; of weights without groups, the unit's
  int num_units;
  int64_t tile_bytes;
  const float* x;  // [num_rows, depth]
  int64_t x_stride;
  bool rounds_input;  // to bfloat16
  const float* bias;  // [num_columns] or null
  float* y;           // [num_rows, num_columns]
  int64_t y_stride;
  int num_rows;
  int num_columns;
  int depth;
};

template <typename Weight>
struct PlainProduct {
  using Args = PlainProductArgs;
  static constexpr int kThreads = 64;
  static constexpr int kBlockRows = 8;
  static constexpr WeightNumbers kNumbers = Weight::kNumbers;
  static constexpr int kUnitDepth = UnitDepth(kNumbers);
  static constexpr size_t kSharedBytes = kBlockRows * kUnitDepth * sizeof(float);

  // Loads a unit's input of all rows: [kBlockRows][kUnitDepth].
  SIMT_DEVICE static void LoadInput(const Args& args, int first_row, int first_depth, float* x) {
    for (int i = ThreadIndex(); i < kBlockRows * kUnitDepth; i += kThreads) {
      const int row = first_row + i / kUnitDepth;
      const int depth = first_depth + i % kUnitDepth;
      const bool is_valid = row < args.num_rows && depth < args.depth;
      const float value = is_valid ? args.x[row * args.x_stride + depth] : 0.0f;
      x[i] = args.rounds_input ? RoundBf16(value) : value;
    }
  }

  // Adds the products of a unit's group to the sums of the rows.
  SIMT_DEVICE static void AddGroup(const Args& args, const std::byte* unit, int column, int group,
                                   const float* x, float (&sums)[kBlockRows]) {
    float scale = 1.0f;
    float zero_point = 0.0f;
    if constexpr (HasGroups(kNumbers)) {
      const UnitScales scales = {unit + UnitValueBytes(kNumbers), unit + args.offsets_begin,
                                 args.scale_dtype};
      scale = scales.Scale(group, column);
      if constexpr (Weight::kHasZeroPoints) {
        zero_point = OffsetOf(kNumbers, 0) - Bf16ToFloat(scales.Offset(group, column));
      }
    }
    float of_group[kBlockRows] = {};
    for (int depth = group * args.group_depth; depth < (group + 1) * args.group_depth; ++depth) {
      const std::byte* const block =
          unit + depth / BlockDepth(kNumbers) * BlockBytes(kNumbers);
      const float weight =
          Weight::Value(block, PlaceOfValue(kNumbers, column, depth % BlockDepth(kNumbers))) -
          zero_point;
#pragma unroll
      for (int row = 0; row < kBlockRows; ++row) {
        of_group[row] = Fma(x[row * kUnitDepth + depth], weight, of_group[row]);
      }
    }
#pragma unroll
    for (int row = 0; row < kBlockRows; ++row) sums[row] = Fma(of_group[row], scale, sums[row]);
  }

  SIMT_DEVICE void operator()(const Args& args) const {
    auto* const x = reinterpret_cast<float*>(SharedMemory());
    const int column = BlockIndex().x * kThreads + ThreadIndex();
    const int first_row = BlockIndex().y * kBlockRows;
    const std::byte* const tile = args.weight + column / kTileColumns * args.tile_bytes;
    float sums[kBlockRows] = {};
    for (int unit = 0; unit < args.num_units; ++unit) {
      SyncThreads();
      LoadInput(args, first_row, unit * kUnitDepth, x);
      SyncThreads();
      if (column >= args.num_columns) continue;
      for (int group = 0; group < kUnitDepth / args.group_depth; ++group) {
        AddGroup(args, tile + int64_t{unit} * args.unit_bytes, column % kTileColumns, group, x,
                 sums);
      }
    }
    if (column >= args.num_columns) return;
    const float bias = args.bias == nullptr ? 0.0f : args.bias[column];
#pragma unroll
    for (int row = 0; row < kBlockRows; ++row) {
      if (first_row + row >= args.num_rows) continue;
      args.y[(first_row + row) * args.y_stride + column] = sums[row] + bias;
    }
  }
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_PLAIN_PRODUCT_CUH_
