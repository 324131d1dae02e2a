#ifndef AUTOGLM_KERNELS_OPEN_DEVICE_H_
#define AUTOGLM_KERNELS_OPEN_DEVICE_H_

#include "kernels/ops.h"

namespace autoglm {

// Opens a device for the calling thread, the only one that may use it, and binds that thread to the
// device's cores. Refuses a device that this build or machine does not have. Models get this
// function as an argument: they know no kind of device.
Result<Device> OpenDevice(const DeviceId& id);

// Returns why the GPU of this number cannot be opened, as far as that is known without trying: what
// GpuDriver::CheckGpu says, or that this build has no kernels for GPUs.
Status CheckGpu(int ordinal);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_OPEN_DEVICE_H_
