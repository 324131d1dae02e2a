#ifndef AUTOGLM_DEVICE_GPU_DRIVER_H_
#define AUTOGLM_DEVICE_GPU_DRIVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace autoglm {

// A GPU that this process may use: CUDA_VISIBLE_DEVICES chooses them, and numbers them from 0.
struct GpuDescription {
  std::string name;  // "NVIDIA H200"
  std::string bus_id;  // "0000:3b:00.0"
  uint64_t memory_bytes = 0;
  int capability_major = 0;
  int capability_minor = 0;
  // What only NVML knows, where it is installed and tells.
  std::optional<uint64_t> free_memory_bytes;
  std::optional<double> utilization;  // of the last moments, 0 to 1
  std::optional<double> power_watts;
  std::optional<int> temperature_celsius;
};

// The GPUs of this machine, as the driver's libraries describe them. They are opened at run time, so
// that one build runs on machines with and without a driver.
class GpuDriver {
 public:
  // Files of the libraries, or names that the system searches for.
  struct Libraries {
    std::string cuda = "libcuda.so.1";
    std::string nvml = "libnvidia-ml.so.1";
  };

  // Opens the libraries. A machine without a driver has no GPUs.
  explicit GpuDriver(const Libraries& libraries);
  ~GpuDriver();  // the driver's own threads may run on, so its libraries stay open
  GpuDriver(const GpuDriver&) = delete;
  GpuDriver& operator=(const GpuDriver&) = delete;

  // Returns the driver of this process, which is opened by the first call.
  static GpuDriver& OfProcess();

  // Describes the GPUs as they are at this moment.
  std::vector<GpuDescription> ListGpus() const;

  // Returns what this process has of a GPU's memory: all that it has allocated, and the driver's own for
  // it. None: NVML does not list it, as in containers that have process numbers of their own.
  std::optional<uint64_t> ProcessMemory(int ordinal) const;

  // Returns why the GPU of this number cannot be used, if it cannot: no driver or an older one than
  // this build needs, no such GPU, a GPU that is too old.
  Status CheckGpu(int ordinal) const;

 private:
  struct Functions;

  Status CheckDriver() const;
  void AddCurrentState(GpuDescription& gpu) const;

  std::unique_ptr<const Functions> functions_;
};

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_GPU_DRIVER_H_
