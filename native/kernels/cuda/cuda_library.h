#ifndef AUTOGLM_KERNELS_CUDA_CUDA_LIBRARY_H_
#define AUTOGLM_KERNELS_CUDA_CUDA_LIBRARY_H_

#include "kernels/ops.h"

namespace autoglm {

// The library of the kernels for GPUs, which is built where there is a CUDA compiler, and the one
// function that it exports: it sets `device` to the GPU of that number, opened, or to what refuses
// it. It lies beside the library that asks for it, unless this variable of the environment names the
// file of one to use in its place, as tests do.
inline constexpr const char* kCudaLibraryVariable = "AUTOGLM_CUDA_LIBRARY";
inline constexpr const char* kCudaLibrary = "libautoglm_cuda.so";
inline constexpr const char* kCudaOpenerName = "AutoglmOpenCuda";
using CudaOpener = void (*)(const DeviceId& id, Result<Device>& device);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_CUDA_CUDA_LIBRARY_H_
