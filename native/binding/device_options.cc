#include "binding/device_options.h"

#include <utility>

namespace autoglm::binding {

DeviceId ReadDevice(const ObjectReader& options, Status& status) {
  Result<DeviceId> device = ParseDeviceId(options.String("device"));
  if (device.ok()) return std::move(device.value());
  if (status.ok()) status = device.status();
  return {};
}

std::optional<WeightFormat> ReadWeightFormat(const ObjectReader& options) {
  if (options.String("weightDtype") == "auto") return std::nullopt;
  return options.WeightFormatOf("weightDtype");
}

}  // namespace autoglm::binding
