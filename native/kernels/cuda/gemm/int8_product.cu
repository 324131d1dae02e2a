#include "kernels/cuda/gemm/launch.cuh"

namespace autoglm::cuda {

void LaunchInt8Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  const WeightFormat& format = rows.op.weight.shape.format;
  if (format.quantizes_input) return LaunchProduct<Int8ByInt8Weight>(stream, plan, rows);
  if (format.has_zero_points) return LaunchProduct<Int8Weight<true>>(stream, plan, rows);
  LaunchProduct<Int8Weight<false>>(stream, plan, rows);
}

}  // namespace autoglm::cuda
