#include "binding/device_options.h"

#include <algorithm>
#include <string>
#include <utility>

namespace autoglm::binding {
namespace {

constexpr int64_t kMaxThreads = 1024;

// Parses the names of a group's devices.
std::vector<DeviceId> ParseGroup(const std::vector<std::string>& names, Status& status) {
  std::vector<DeviceId> devices;
  for (const std::string& name : names) {
    const Result<DeviceId> device = ParseDeviceId(name);
    if (!device.ok() && status.ok()) status = device.status();
    if (!device.ok()) return {};
    devices.push_back(device.value());
  }
  const Status group = CheckDeviceGroup(devices);
  if (!group.ok() && status.ok()) status = group;
  return devices;
}

// Reads `threads` of the given number of devices together; returns how many each has, 0: no bound.
int ReadThreads(const ObjectReader& options, size_t num_devices, Status& status) {
  if (options.IsNull("threads")) return 0;
  const int64_t least = static_cast<int64_t>(num_devices);
  const int64_t threads = options.Integer("threads");
  if (status.ok() && (threads < least || threads > kMaxThreads)) {
    status = InvalidRequest("options: threads: expected " + std::to_string(least) + ".." +
                            std::to_string(kMaxThreads) +
                            (num_devices > 1 ? ", one for each device at least" : "") +
                            ", received " + std::to_string(threads));
  }
  return static_cast<int>(threads / std::max<int64_t>(least, 1));
}

}  // namespace

DeviceId ReadDevice(const ObjectReader& options, Status& status) {
  const std::vector<DeviceId> devices = ParseGroup({options.String("device")}, status);
  if (devices.empty()) return {};
  DeviceId device = devices[0];
  device.max_threads = ReadThreads(options, 1, status);
  return device;
}

std::vector<DeviceId> ReadDevices(const ObjectReader& options, Status& status) {
  std::vector<DeviceId> devices = ParseGroup(options.StringOrStrings("device"), status);
  const int threads = ReadThreads(options, devices.size(), status);
  for (DeviceId& device : devices) device.max_threads = threads;
  if (devices.empty() && status.ok()) {
    status = InvalidRequest("options: device: an empty list of devices");
  }
  return devices;
}

std::optional<WeightFormat> ReadWeightFormat(const ObjectReader& options) {
  if (options.String("weightDtype") == "auto") return std::nullopt;
  return options.WeightFormatOf("weightDtype");
}

std::optional<KvDtype> ReadKvDtype(const ObjectReader& options, Status& status) {
  const std::string name = options.IsNull("kvCacheDtype") ? "auto" : options.String("kvCacheDtype");
  KvDtype dtype = KvDtype::kFloat32;
  if (name == "auto") return std::nullopt;
  if (FindKvDtype(name.c_str(), dtype)) return dtype;
  if (status.ok()) {
    status = InvalidRequest("options: kvCacheDtype: expected auto, bfloat16, float32 or int8");
  }
  return std::nullopt;
}

QuantizeOptions ReadQuantize(const ObjectReader& options, Status& status) {
  QuantizeOptions quantize;
  if (!options.IsNull("quantizeHead")) quantize.quantizes_head = options.Boolean("quantizeHead");
  const std::string type = options.IsNull("quantize") ? "none" : options.String("quantize");
  if (type == "int8") {
    quantize.type = WeightType::kInt8;
  } else if (type == "int4") {
    quantize.type = WeightType::kInt4;
  } else if (type != "none" && status.ok()) {
    status = InvalidRequest("options: quantize: expected none, int8 or int4");
  }
  return quantize;
}

Napi::Value MakeCacheReport(Napi::Env env, const WeightCacheReport& report) {
  using Outcome = WeightCacheReport::Outcome;
  if (report.outcome == Outcome::kOff) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("outcome", report.outcome == Outcome::kMapped    ? "mapped"
                        : report.outcome == Outcome::kWritten ? "written"
                                                              : "unused");
  object.Set("path", report.path);
  object.Set("reason", report.reason);
  return object;
}

Napi::Function MakeProgressFunction(Napi::Env env, std::shared_ptr<const LoadProgress> progress) {
  return Napi::Function::New(env, [progress = std::move(progress)](const Napi::CallbackInfo& info) {
    Napi::Object bytes = Napi::Object::New(info.Env());
    const auto set = [&](const char* name, uint64_t value) {
      bytes.Set(name, Napi::Number::New(info.Env(), static_cast<double>(value)));
    };
    set("doneBytes", progress->done_bytes);
    set("totalBytes", progress->total_bytes);
    return bytes;
  });
}

}  // namespace autoglm::binding
