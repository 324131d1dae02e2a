#include "binding/machine.h"

#include <vector>

#include "binding/addon_data.h"
#include "device/device_id.h"
#include "kernels/dispatch.h"

namespace autoglm::binding {

Napi::Value Devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<DeviceDescription> devices = ListDevices();
  const Napi::Array list = Napi::Array::New(env, devices.size());
  for (uint32_t i = 0; i < devices.size(); ++i) {
    const Napi::Array cores = Napi::Array::New(env, devices[i].cores.size());
    for (uint32_t core = 0; core < devices[i].cores.size(); ++core) {
      cores.Set(core, Napi::Number::New(env, devices[i].cores[core]));
    }
    Napi::Object device = Napi::Object::New(env);
    device.Set("id", devices[i].id);
    device.Set("kind", DeviceKindName(devices[i].kind));
    device.Set("name", devices[i].name);
    device.Set("memoryBytes", Napi::Number::New(env, static_cast<double>(devices[i].memory_bytes)));
    device.Set("cores", cores);
    list.Set(i, device);
  }
  return list;
}

Napi::Value CpuFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) {
    Napi::Error(env, MakeError(env, active.status())).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const kernels::KernelChoice& choice = active.value();
  const Napi::Array supported = Napi::Array::New(env, choice.supported.size());
  for (uint32_t i = 0; i < choice.supported.size(); ++i) {
    supported.Set(i, kernels::IsaName(choice.supported[i]));
  }
  Napi::Object features = Napi::Object::New(env);
  features.Set("isa", kernels::IsaName(choice.chosen.level));
  features.Set("supported", supported);
  features.Set("reason", choice.reason);
  return features;
}

}  // namespace autoglm::binding
