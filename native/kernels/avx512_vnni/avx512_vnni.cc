#include "kernels/avx512_vnni/image.h"
#include "kernels/avx512_vnni/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/attention/attention.h"
#include "kernels/simd/gemm.h"

namespace autoglm::kernels {

void ApplyAvx512Vnni(CpuKernels& kernels) {
  constexpr const char* kIsa = "avx512_vnni";
  kernels.gemm = Gemm<Avx512VnniVector>(kIsa);
  kernels.attention = Attention<Avx512VnniVector>(kIsa);
  kernels.image = Image<FourRowSums, BlendPairsOfRows>(kIsa);
}

}  // namespace autoglm::kernels
