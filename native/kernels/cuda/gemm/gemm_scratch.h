#ifndef AUTOGLM_KERNELS_CUDA_GEMM_GEMM_SCRATCH_H_
#define AUTOGLM_KERNELS_CUDA_GEMM_GEMM_SCRATCH_H_

#include <cstddef>
#include <vector>

#include "device/memory.h"

namespace autoglm::cuda {

// Memory that products overwrite, as large as the largest weight that was prepared needs.
struct GemmScratch {
  DeviceBuffer input;         // rounded rows of a product, in blocks
  DeviceBuffer input_scales;  // of rows that become int8 or fp8
  DeviceBuffer partials;      // sums of chunks of the depth
  DeviceBuffer arrivals;      // of the blocks that write them; zeros between products
  std::vector<std::byte> packed;  // host: tiles of a weight on their way
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_GEMM_GEMM_SCRATCH_H_
