#include "kernels/reference/reference.h"

namespace autoglm::kernels {

void ApplyReference(CpuKernels& kernels) {
  kernels.gemm = reference::Gemm();
  kernels.norm = reference::Norm();
  kernels.activation = reference::Activation();
  kernels.rope = reference::Rope();
  kernels.attention = reference::Attention();
  kernels.convolution = reference::Convolution();
  kernels.convert = reference::Convert();
  kernels.logits = reference::Logits();
  kernels.image = reference::Image();
}

}  // namespace autoglm::kernels
