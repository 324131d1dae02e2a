#include "binding/machine.h"

#include <string>
#include <vector>

#include "binding/addon_data.h"
#include "device/device_id.h"
#include "kernels/dispatch.h"
#include "kernels/open_device.h"

namespace autoglm::binding {
namespace {

Napi::Array LevelNames(Napi::Env env, const std::vector<kernels::IsaLevel>& levels) {
  const Napi::Array names = Napi::Array::New(env, levels.size());
  for (uint32_t i = 0; i < levels.size(); ++i) names.Set(i, kernels::IsaName(levels[i]));
  return names;
}

// Returns the levels of the kernels that a device can run.
std::vector<kernels::IsaLevel> LevelsOf(DeviceKind kind) {
  std::vector<kernels::IsaLevel> levels;
  if (kind != DeviceKind::kCpu) return levels;
  for (const kernels::KernelLevel& level : kernels::SupportedLevels()) {
    levels.push_back(level.level);
  }
  return levels;
}

// Makes the part of a description that only a GPU has. What nobody tells is left out.
Napi::Object MakeGpu(Napi::Env env, const GpuDescription& gpu) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("computeCapability", std::to_string(gpu.capability_major) + "." +
                                      std::to_string(gpu.capability_minor));
  object.Set("busId", gpu.bus_id);
  const auto set = [&](const char* name, const auto& value) {
    if (value.has_value()) object.Set(name, Napi::Number::New(env, static_cast<double>(*value)));
  };
  set("freeMemoryBytes", gpu.free_memory_bytes);
  set("utilization", gpu.utilization);
  set("powerWatts", gpu.power_watts);
  set("temperatureCelsius", gpu.temperature_celsius);
  return object;
}

}  // namespace

Napi::Value Devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<DeviceDescription> devices = ListDevices(GpuDriver::OfProcess());
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
    device.Set("isaLevels", LevelNames(env, LevelsOf(devices[i].kind)));
    if (devices[i].gpu.has_value()) device.Set("gpu", MakeGpu(env, *devices[i].gpu));
    list.Set(i, device);
  }
  return list;
}

Napi::Value GpuRefusal(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Result<DeviceId> id = ParseDeviceId(info[0].ToString().Utf8Value());
  const Status status =
      id.ok() ? CheckGpu(id.value().ordinal) : id.status();
  return status.ok() ? env.Undefined() : Napi::String::New(env, status.message()).As<Napi::Value>();
}

Napi::Value CpuFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) {
    Napi::Error(env, MakeError(env, active.status())).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const kernels::KernelChoice& choice = active.value();
  Napi::Object features = Napi::Object::New(env);
  features.Set("isa", kernels::IsaName(choice.chosen.level));
  features.Set("supported", LevelNames(env, choice.supported));
  features.Set("reason", choice.reason);
  return features;
}

}  // namespace autoglm::binding
