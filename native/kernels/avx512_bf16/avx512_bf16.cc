#include "kernels/avx512_bf16/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {

void ApplyAvx512Bf16(CpuKernels& kernels) { kernels.gemm = Gemm<Avx512Bf16Vector>("avx512_bf16"); }

}  // namespace autoglm::kernels
