#include "kernels/open_device.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "device/gpu_driver.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/cuda_library.h"
#include "kernels/dispatch.h"

namespace autoglm {
namespace {

Result<Device> OpenActiveCpu(const DeviceId& id) {
  const Result<kernels::KernelChoice>& active = kernels::ActiveKernels();
  if (!active.ok()) return active.status();
  return cpu::OpenCpu(active.value().chosen.kernels, id);
}

// Returns the file of the library of the kernels for GPUs.
std::string CudaLibraryPath() {
  const char* const named = std::getenv(kCudaLibraryVariable);
  if (named != nullptr && *named != '\0') return named;
  Dl_info self = {};
  const bool is_known = dladdr(reinterpret_cast<void*>(&CudaLibraryPath), &self) != 0;
  const std::string path = is_known ? self.dli_fname : "";
  return path.substr(0, path.rfind('/') + 1) + kCudaLibrary;
}

// Loads that library. The first call of the process loads it, and it stays.
Result<CudaOpener> LoadCudaKernels() {
  const std::string library = CudaLibraryPath();
  void* const loaded = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    return Unsupported(std::string("this build has no CUDA kernels (") + dlerror() +
                       "): build it where the CUDA compiler nvcc is, or use cpu");
  }
  auto* const open = reinterpret_cast<CudaOpener>(dlsym(loaded, kCudaOpenerName));
  if (open == nullptr) return EngineFailed(library + " is out of date: \"npm run build\" renews it");
  return open;
}

Result<Device> OpenGpu(const DeviceId& id) {
  const Status usable = CheckGpu(id.ordinal);
  if (!usable.ok()) {
    return Status(usable.reason(), "device \"" + DeviceName(id) + "\": " + usable.message());
  }
  Result<Device> device = Device{};
  LoadCudaKernels().value()(id, device);
  return device;
}

}  // namespace

Result<Device> OpenDevice(const DeviceId& id) {
  switch (id.kind) {
    case DeviceKind::kCpu:
      return OpenActiveCpu(id);
    case DeviceKind::kCuda:
      return OpenGpu(id);
  }
  return Unsupported("a device of an unknown kind");
}

Status CheckGpu(int ordinal) {
  const Status usable = GpuDriver::OfProcess().CheckGpu(ordinal);
  return usable.ok() ? LoadCudaKernels().status() : usable;
}

}  // namespace autoglm
