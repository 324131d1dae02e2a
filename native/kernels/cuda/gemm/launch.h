#ifndef AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_H_
#define AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_H_

#include "kernels/cuda/gemm/plan.h"
#include "kernels/cuda/runtime.h"
#include "kernels/ops.h"

namespace autoglm::cuda {

// Rows of a product, at most RowsPerTurn, and where their rounded copy lies.
struct RowsToMultiply {
  const GemmOp& op;
  MatrixView x;
  MatrixView y;
  const std::byte* x_blocks;
  const float* x_scales;
  void* partials;
  unsigned* arrivals;
};

// Launches a product on tensor cores. Each kind of weight is compiled in a file of its own.
void LaunchFloatProduct(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows);
void LaunchInt8Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows);
void LaunchInt4Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows);
void LaunchFp8Product(Stream& stream, const GemmPlan& plan, const RowsToMultiply& rows);

// Launches a product in float32, of any weight whose input is not rounded to int8 or fp8.
void LaunchPlainProduct(Stream& stream, const GemmOp& op);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_LAUNCH_H_
