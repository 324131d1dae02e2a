#include "kernels/avx512_bf16/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/attention/attention.h"
#include "kernels/simd/convert.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {

void ApplyAvx512Bf16(CpuKernels& kernels) {
  constexpr const char* kIsa = "avx512_bf16";
  kernels.gemm = Gemm<Avx512Bf16Vector>(kIsa);
  kernels.attention = Attention<Avx512Bf16Vector>(kIsa);
  kernels.convert = Convert<Avx512Bf16Vector>(kIsa);
}

}  // namespace autoglm::kernels
