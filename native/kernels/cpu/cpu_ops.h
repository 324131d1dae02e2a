#ifndef AUTOGLM_KERNELS_CPU_CPU_OPS_H_
#define AUTOGLM_KERNELS_CPU_CPU_OPS_H_

#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm::cpu {

// Each family fills its part of the table.
void SetMemoryOps(Ops& ops);
void SetGemmOps(Ops& ops);
void SetRowOps(Ops& ops);
void SetAttentionOps(Ops& ops);
void SetConvolutionOps(Ops& ops);
void SetOutputOps(Ops& ops);

// A CPU device that runs on the kernels of a given level; the calling thread is bound to the first of
// its cores, if it names any.
Device OpenCpu(const kernels::CpuKernels& kernels, const DeviceId& id);

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_CPU_OPS_H_
