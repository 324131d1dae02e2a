#ifndef AUTOGLM_TEST_PERF_GPU_PEAK_H_
#define AUTOGLM_TEST_PERF_GPU_PEAK_H_

#include "kernels/cuda/runtime.h"

namespace autoglm::perf {

// Peak speed of a GPU, measured by kernels that do nothing else.
struct GpuPeak {
  double copy_bytes_per_second;      // bytes read and bytes written, far beyond its caches
  double bfloat16_flops_per_second;  // of mma.sync, sums in float32; wgmma of Hopper gives more
  double int8_ops_per_second;        // of mma.sync
};

// Needs a gibibyte of its memory.
GpuPeak MeasureGpuPeak(cuda::Stream& stream);

}  // namespace autoglm::perf

#endif  // AUTOGLM_TEST_PERF_GPU_PEAK_H_
