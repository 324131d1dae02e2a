#ifndef AUTOGLM_MODEL_MEMORY_SHARE_H_
#define AUTOGLM_MODEL_MEMORY_SHARE_H_

#include <optional>

#include "base/status.h"
#include "kernels/ops.h"

namespace autoglm {

// Returns the memory that a model may still take of a device. `share`, in (0, 1], is what it may have
// of the device's own memory, what it uses already included; a device that has none refuses it. None:
// all that is free.
Result<FreeMemory> FindFreeMemory(const Device& device, std::optional<double> share);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_MEMORY_SHARE_H_
