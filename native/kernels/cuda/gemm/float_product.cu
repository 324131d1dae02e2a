#include "kernels/cuda/gemm/launch.cuh"

namespace autoglm::cuda {

void LaunchFloatProduct(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  if (rows.op.weight.shape.format.type == WeightType::kFloat16) {
    return LaunchProduct<Float16Weight>(stream, plan, rows);
  }
  LaunchProduct<Bfloat16Weight>(stream, plan, rows);
}

}  // namespace autoglm::cuda
