#ifndef AUTOGLM_DEVICE_DEVICE_ID_H_
#define AUTOGLM_DEVICE_DEVICE_ID_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "device/gpu_driver.h"

namespace autoglm {

enum class DeviceKind { kCpu, kCuda };

// Returns "cpu" or "cuda".
const char* DeviceKindName(DeviceKind kind);

// A parsed device name: `cpu` (every core of the process), `cpu:0-3`, `cpu:0,2,4-5` (these cores),
// `cuda:0` (a GPU).
struct DeviceId {
  DeviceKind kind = DeviceKind::kCpu;
  std::vector<int> cores;  // ascending, distinct; empty: every core of the process, not pinned
  int ordinal = 0;         // of a GPU
  int max_threads = 0;     // of a CPU, which has one for each core; 0: no bound
};

// Parses a device name. Refuses a name that is malformed, or has a core on which the process may
// not run.
Result<DeviceId> ParseDeviceId(std::string_view name);

// Returns the name of a device, as ParseDeviceId reads it.
std::string DeviceName(const DeviceId& id);

// Refuses devices that cannot compute one model together: of different kinds, the same twice, or CPUs
// that share a core. The message names the key "device".
Status CheckDeviceGroup(const std::vector<DeviceId>& devices);

struct DeviceDescription {
  std::string id;
  DeviceKind kind;
  std::string name;
  uint64_t memory_bytes;  // of the GPU; of the machine, or the control group's limit if that is less
  std::vector<int> cores;  // empty for a GPU
  std::optional<GpuDescription> gpu = std::nullopt;
};

// Returns the devices of this machine, the CPU first.
std::vector<DeviceDescription> ListDevices(const GpuDriver& driver);

// Returns the cores on which the process may run, ascending.
std::vector<int> AvailableCores();

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_DEVICE_ID_H_
