#ifndef AUTOGLM_BINDING_MACHINE_H_
#define AUTOGLM_BINDING_MACHINE_H_

#include <napi.h>

namespace autoglm::binding {

// Implements devices(): returns the devices of this machine.
Napi::Value Devices(const Napi::CallbackInfo& info);

// Implements gpuRefusal(id): returns why that GPU cannot be used, or undefined if it can.
Napi::Value GpuRefusal(const Napi::CallbackInfo& info);

// Implements cpuFeatures(): returns the level of the kernels. Throws if AUTOGLM_ISA names a level
// that is unknown or not available.
Napi::Value CpuFeatures(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_MACHINE_H_
