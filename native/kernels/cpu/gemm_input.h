#ifndef AUTOGLM_KERNELS_CPU_GEMM_INPUT_H_
#define AUTOGLM_KERNELS_CPU_GEMM_INPUT_H_

#include <cstdint>

#include "kernels/cpu/cpu_context.h"
#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm::cpu {

// Number of a gemm's input rows that are rounded together before they are multiplied: enough to use
// every weight often, few enough for a small copy.
inline constexpr int64_t kRowsPerRounding = 1024;

// Rows of a product's input in the type and layout that are multiplied.
struct GemmInput {
  const char* data;
  Dtype dtype;  // not of an input that is quantized
  kernels::InputLayout layout;
  int64_t row_bytes;  // from row to row, and from the first row of a task to that of another
  int64_t stride;     // from row to row, in numbers
  const float* scales = nullptr;  // [rows] of an input of integers
};

// Makes room for the rounded input of a weight, and for each thread's scratch.
Status GrowGemmInput(CpuContext& cpu, const WeightShape& shape);

// Rounds the rows of x, at most kRowsPerRounding, to bfloat16 in the context's buffers, as float32 if
// the task takes those, or each row to integers and a scale: of one byte if the format quantizes its input, of two if the task takes them.
GemmInput RoundGemmInput(CpuContext& cpu, const WeightFormat& format, const MatrixView& x,
                         const kernels::GemmTask& task);

// Returns rows of float32 that are multiplied as they are.
GemmInput PlainGemmInput(const MatrixView& x);

// Returns the scratch of a thread.
void* GemmScratch(const CpuContext& cpu, int thread);

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_GEMM_INPUT_H_
