#ifndef AUTOGLM_BINDING_DEVICE_OPTIONS_H_
#define AUTOGLM_BINDING_DEVICE_OPTIONS_H_

#include <memory>
#include <optional>
#include <vector>

#include "base/kv_dtype.h"
#include "base/status.h"
#include "binding/object_reader.h"
#include "device/device_id.h"
#include "model/checkpoint/quantize_options.h"
#include "model/weights/weight_cache.h"

namespace autoglm::binding {

// Reads `device` from the options of a model, and `threads`, which may be missing.
DeviceId ReadDevice(const ObjectReader& options, Status& status);

// Reads `device` of a decoder, a name or a list of the devices of a group, and `threads`, which all of
// them share.
std::vector<DeviceId> ReadDevices(const ObjectReader& options, Status& status);

// Reads `weightDtype`; returns none for "auto".
std::optional<WeightFormat> ReadWeightFormat(const ObjectReader& options);

// Reads `kvCacheDtype`, which may be missing; returns none for "auto".
std::optional<KvDtype> ReadKvDtype(const ObjectReader& options, Status& status);

// Reads `quantize` and `quantizeHead`, which may be missing.
QuantizeOptions ReadQuantize(const ObjectReader& options, Status& status);

// Makes the description of what became of the weights' cache; null if it is off.
Napi::Value MakeCacheReport(Napi::Env env, const WeightCacheReport& report);

// Makes the function that says how far a load has come: {doneBytes, totalBytes}.
Napi::Function MakeProgressFunction(Napi::Env env, std::shared_ptr<const LoadProgress> progress);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_DEVICE_OPTIONS_H_
