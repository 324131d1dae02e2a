#include "kernels/cuda/gemm/launch.cuh"

namespace autoglm::cuda {

void LaunchInt4Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  if (rows.op.weight.shape.format.has_zero_points) {
    return LaunchProduct<Int4Weight<true>>(stream, plan, rows);
  }
  LaunchProduct<Int4Weight<false>>(stream, plan, rows);
}

}  // namespace autoglm::cuda
