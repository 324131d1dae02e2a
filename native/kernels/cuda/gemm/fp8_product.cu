#include "kernels/cuda/gemm/launch.cuh"

namespace autoglm::cuda {

void LaunchFp8Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows) {
  if (rows.op.weight.shape.format.quantizes_input) {
    return LaunchProduct<Fp8ByFp8Weight>(stream, plan, rows);
  }
  LaunchProduct<Fp8Weight>(stream, plan, rows);
}

}  // namespace autoglm::cuda
