#ifndef AUTOGLM_BINDING_MACHINE_H_
#define AUTOGLM_BINDING_MACHINE_H_

#include <napi.h>

namespace autoglm::binding {

// devices(): what this machine offers.
Napi::Value Devices(const Napi::CallbackInfo& info);

// cpuFeatures(): the level of the kernels; throws where AUTOGLM_ISA cannot be honoured.
Napi::Value CpuFeatures(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_MACHINE_H_
