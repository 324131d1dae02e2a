#ifndef AUTOGLM_KERNELS_CUDA_CUDA_OPS_H_
#define AUTOGLM_KERNELS_CUDA_CUDA_OPS_H_

#include <cstdint>
#include <optional>

#include "kernels/kernels.h"
#include "kernels/ops.h"

namespace autoglm::cuda {

// Each function sets the operations of one family in the table.
void SetMemoryOps(Ops& ops);
void SetNormOps(Ops& ops);
void SetRowOps(Ops& ops);
void SetCacheOps(Ops& ops);
void SetGroupOps(Ops& ops);
void SetGraphOps(Ops& ops);
void SetGemmOps(Ops& ops);
void SetAttentionOps(Ops& ops);
void SetConvolutionOps(Ops& ops);
void SetSampleOps(Ops& ops);

// Allocates memory of the GPU; a refusal says what would help.
Result<DeviceBuffer> Allocate(OpsContext& context, size_t bytes);

// Returns what the driver takes of a GPU for a process that has allocated `taken` bytes of it and has
// `process` in all, if that is known.
uint64_t DriverBytes(std::optional<uint64_t> process, uint64_t taken);

// Returns the kernels of the host that convert numbers; there are some on every machine.
const kernels::ConvertKernels& HostConvert();

// Opens the GPU of this number among those that the process may use.
Result<Device> OpenCuda(const DeviceId& id);

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_CUDA_OPS_H_
