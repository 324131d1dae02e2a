#ifndef AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_
#define AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_

#include "kernels/kernels.h"

// The specification: each kernel in the plainest C++ that is correct, and the fall-back where no
// faster level exists.
namespace autoglm::kernels::reference {

GemmKernels Gemm();
NormKernels Norm();
ActivationKernels Activation();
RopeKernels Rope();
AttentionKernels Attention();
ConvolutionKernels Convolution();
ConvertKernels Convert();
LogitKernels Logits();

}  // namespace autoglm::kernels::reference

#endif  // AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_
