#include "kernels/cuda/cuda_library.h"

#include "kernels/cuda/cuda_ops.h"

extern "C" __attribute__((visibility("default"))) void AutoglmOpenCuda(
    const autoglm::DeviceId& id, autoglm::Result<autoglm::Device>& device) {
  device = autoglm::cuda::OpenCuda(id);
}
