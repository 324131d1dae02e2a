#ifndef AUTOGLM_KERNELS_CUDA_GEMM_PACK_H_
#define AUTOGLM_KERNELS_CUDA_GEMM_PACK_H_

#include "kernels/ops.h"

namespace autoglm::cuda {

// Packs a weight on the host's threads and copies it to the GPU, a few tiles at a time.
Status Pack(OpsContext& context, const PackOp& op);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_PACK_H_
