#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/activation.h"
#include "kernels/simd/attention/attention.h"
#include "kernels/simd/convert.h"
#include "kernels/simd/convolution.h"
#include "kernels/simd/gemm.h"
#include "kernels/simd/logits.h"
#include "kernels/simd/norm.h"
#include "kernels/simd/rope.h"

namespace autoglm::kernels {

void ApplyAvx512(CpuKernels& kernels) {
  constexpr const char* kIsa = "avx512";
  kernels.gemm = Gemm<Avx512Vector>(kIsa);
  kernels.norm = Norm<Avx512Vector>(kIsa);
  kernels.activation = Activation<Avx512Vector>(kIsa);
  kernels.rope = Rope<Avx512Vector>(kIsa);
  kernels.attention = Attention<Avx512Vector>(kIsa);
  kernels.convolution = Convolution<Avx512Vector>(kIsa);
  kernels.convert = Convert<Avx512Vector>(kIsa);
  kernels.logits = Logits<Avx512Vector>(kIsa);
}

}  // namespace autoglm::kernels
