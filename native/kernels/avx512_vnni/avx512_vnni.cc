#include "kernels/avx512_vnni/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {

void ApplyAvx512Vnni(CpuKernels& kernels) { kernels.gemm = Gemm<Avx512VnniVector>("avx512_vnni"); }

}  // namespace autoglm::kernels
