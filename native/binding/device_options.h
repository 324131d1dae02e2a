#ifndef AUTOGLM_BINDING_DEVICE_OPTIONS_H_
#define AUTOGLM_BINDING_DEVICE_OPTIONS_H_

#include <optional>

#include "base/status.h"
#include "binding/object_reader.h"
#include "device/device_id.h"

namespace autoglm::binding {

// Reads `device` from the options of a model.
DeviceId ReadDevice(const ObjectReader& options, Status& status);

// Reads `weightDtype`; returns none for "auto".
std::optional<WeightFormat> ReadWeightFormat(const ObjectReader& options);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_DEVICE_OPTIONS_H_
