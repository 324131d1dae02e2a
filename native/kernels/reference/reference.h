#ifndef AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_
#define AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_

#include "kernels/kernels.h"

// The specification: each kernel in the plainest C++ that is correct. A machine without a faster
// level uses these kernels.
namespace autoglm::kernels::reference {

GemmKernels Gemm();
NormKernels Norm();
ActivationKernels Activation();
RopeKernels Rope();
AttentionKernels Attention();
ConvolutionKernels Convolution();
ConvertKernels Convert();
LogitKernels Logits();
ImageKernels Image();

}  // namespace autoglm::kernels::reference

#endif  // AUTOGLM_KERNELS_REFERENCE_REFERENCE_H_
