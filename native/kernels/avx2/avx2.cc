#include "kernels/avx2/image.h"
#include "kernels/avx2/vector.h"
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

void ApplyAvx2(CpuKernels& kernels) {
  constexpr const char* kIsa = "avx2";
  kernels.gemm = Gemm<Avx2Vector>(kIsa);
  kernels.norm = Norm<Avx2Vector>(kIsa);
  kernels.activation = Activation<Avx2Vector>(kIsa);
  kernels.rope = Rope<Avx2Vector>(kIsa);
  kernels.attention = Attention<Avx2Vector>(kIsa);
  kernels.convolution = Convolution<Avx2Vector>(kIsa);
  kernels.convert = Convert<Avx2Vector>(kIsa);
  kernels.logits = Logits<Avx2Vector>(kIsa);
  kernels.image = Image<RowSums<2>, BlendColumns<4>>(kIsa);
}

}  // namespace autoglm::kernels
