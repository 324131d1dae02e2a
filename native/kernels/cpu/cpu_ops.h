#ifndef AUTOGLM_KERNELS_CPU_CPU_OPS_H_
#define AUTOGLM_KERNELS_CPU_CPU_OPS_H_

#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm::cpu {

// Each function sets the operations of one family in the table.
void SetMemoryOps(Ops& ops);
void SetGemmOps(Ops& ops);
void SetRowOps(Ops& ops);
void SetAttentionOps(Ops& ops);
void SetConvolutionOps(Ops& ops);
void SetOutputOps(Ops& ops);

// The operation silu_mul, which others end with.
void SiluMul(OpsContext& context, const GatedOp& op);

// Opens a CPU device that uses the given kernels. Binds the calling thread to the first of the
// device's cores, if `id` names any.
Result<Device> OpenCpu(const kernels::CpuKernels& kernels, const DeviceId& id);

}  // namespace autoglm::cpu

#endif  // AUTOGLM_KERNELS_CPU_CPU_OPS_H_
