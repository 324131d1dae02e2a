#include "device/gpu_driver.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace autoglm {
namespace {

// The CUDA with which kernels are compiled, and the oldest driver that knows it.
constexpr int kNeededCudaMajor = 13;
constexpr const char* kNeededDriver = "CUDA 13.0, which is in driver 580 and newer";

// Kernels need bfloat16 on tensor cores and asynchronous copies.
constexpr int kMinCapabilityMajor = 8;

// What is used of the driver's interface (cuda.h).
constexpr int kCudaSuccess = 0;
constexpr int kCudaErrorNoDevice = 100;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;

// What is used of NVML's interface (nvml.h).
constexpr int kNvmlSuccess = 0;
constexpr int kTemperatureOfGpu = 0;
struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct NvmlUtilization {
  unsigned gpu;  // percent
  unsigned memory;
};

struct NvmlProcess {
  unsigned process_id;
  unsigned long long memory;  // bytes, or kNvmlUnknown
  unsigned gpu_instance;
  unsigned compute_instance;
};
constexpr unsigned long long kNvmlUnknown = ~0ull;
// More processes than share a GPU.
constexpr unsigned kMaxProcesses = 256;

template <typename Function>
void Find(void* library, const char* name, Function*& function) {
  if (library != nullptr) function = reinterpret_cast<Function*>(dlsym(library, name));
}

std::string CapabilityText(const GpuDescription& gpu) {
  return std::to_string(gpu.capability_major) + "." + std::to_string(gpu.capability_minor);
}

// Writes what limits the GPUs of this process, if anything does.
std::string VisibleText() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible == nullptr ? "" : " (CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\")";
}

}  // namespace

struct GpuDriver::Functions {
  void* cuda = nullptr;
  void* nvml = nullptr;
  int cuda_error = kCudaSuccess;  // of cuInit
  bool has_nvml = false;

  int (*init)(unsigned flags) = nullptr;
  int (*driver_version)(int* version) = nullptr;
  int (*device_count)(int* count) = nullptr;
  int (*device_get)(int* device, int ordinal) = nullptr;
  int (*device_name)(char* name, int size, int device) = nullptr;
  int (*device_memory)(size_t* bytes, int device) = nullptr;
  int (*device_attribute)(int* value, int attribute, int device) = nullptr;
  int (*device_bus_id)(char* bus_id, int size, int device) = nullptr;
  int (*error_string)(int error, const char** text) = nullptr;

  int (*nvml_init)() = nullptr;
  int (*nvml_driver_version)(char* version, unsigned size) = nullptr;
  int (*nvml_device)(const char* bus_id, void** device) = nullptr;
  int (*nvml_memory)(void* device, NvmlMemory* memory) = nullptr;
  int (*nvml_processes)(void* device, unsigned* count, NvmlProcess* processes) = nullptr;
  int (*nvml_utilization)(void* device, NvmlUtilization* utilization) = nullptr;
  int (*nvml_power)(void* device, unsigned* milliwatts) = nullptr;
  int (*nvml_temperature)(void* device, int sensor, unsigned* celsius) = nullptr;

  bool HasCuda() const {
    return init != nullptr && driver_version != nullptr && device_count != nullptr &&
           device_get != nullptr && device_name != nullptr && device_memory != nullptr &&
           device_attribute != nullptr && device_bus_id != nullptr && error_string != nullptr;
  }
};

GpuDriver::GpuDriver(const Libraries& libraries) {
  auto functions = std::make_unique<Functions>();
  Functions& f = *functions;
  f.cuda = dlopen(libraries.cuda.c_str(), RTLD_NOW | RTLD_LOCAL);
  Find(f.cuda, "cuInit", f.init);
  Find(f.cuda, "cuDriverGetVersion", f.driver_version);
  Find(f.cuda, "cuDeviceGetCount", f.device_count);
  Find(f.cuda, "cuDeviceGet", f.device_get);
  Find(f.cuda, "cuDeviceGetName", f.device_name);
  Find(f.cuda, "cuDeviceTotalMem_v2", f.device_memory);
  Find(f.cuda, "cuDeviceGetAttribute", f.device_attribute);
  Find(f.cuda, "cuDeviceGetPCIBusId", f.device_bus_id);
  Find(f.cuda, "cuGetErrorString", f.error_string);
  if (f.HasCuda()) {
    f.cuda_error = f.init(0);
    f.nvml = dlopen(libraries.nvml.c_str(), RTLD_NOW | RTLD_LOCAL);
    Find(f.nvml, "nvmlInit_v2", f.nvml_init);
    Find(f.nvml, "nvmlSystemGetDriverVersion", f.nvml_driver_version);
    Find(f.nvml, "nvmlDeviceGetHandleByPciBusId_v2", f.nvml_device);
    Find(f.nvml, "nvmlDeviceGetMemoryInfo", f.nvml_memory);
    Find(f.nvml, "nvmlDeviceGetComputeRunningProcesses_v3", f.nvml_processes);
    Find(f.nvml, "nvmlDeviceGetUtilizationRates", f.nvml_utilization);
    Find(f.nvml, "nvmlDeviceGetPowerUsage", f.nvml_power);
    Find(f.nvml, "nvmlDeviceGetTemperature", f.nvml_temperature);
    f.has_nvml = f.nvml_init != nullptr && f.nvml_init() == kNvmlSuccess;
  }
  functions_ = std::move(functions);
}

GpuDriver::~GpuDriver() = default;

GpuDriver& GpuDriver::OfProcess() {
  static GpuDriver driver{Libraries()};
  return driver;
}

std::vector<GpuDescription> GpuDriver::ListGpus() const {
  const Functions& f = *functions_;
  int count = 0;
  if (!f.HasCuda() || f.cuda_error != kCudaSuccess || f.device_count(&count) != kCudaSuccess) {
    return {};
  }
  std::vector<GpuDescription> gpus;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    GpuDescription& gpu = gpus.emplace_back();
    int device = 0;
    char text[256] = {};
    size_t bytes = 0;
    if (f.device_get(&device, ordinal) != kCudaSuccess) continue;
    if (f.device_name(text, sizeof(text), device) == kCudaSuccess) gpu.name = text;
    if (f.device_memory(&bytes, device) == kCudaSuccess) gpu.memory_bytes = bytes;
    f.device_attribute(&gpu.capability_major, kComputeCapabilityMajor, device);
    f.device_attribute(&gpu.capability_minor, kComputeCapabilityMinor, device);
    if (f.device_bus_id(text, sizeof(text), device) == kCudaSuccess) gpu.bus_id = text;
    AddCurrentState(gpu);
  }
  return gpus;
}

void GpuDriver::AddCurrentState(GpuDescription& gpu) const {
  const Functions& f = *functions_;
  void* device = nullptr;
  if (!f.has_nvml || f.nvml_device == nullptr ||
      f.nvml_device(gpu.bus_id.c_str(), &device) != kNvmlSuccess) {
    return;
  }
  NvmlMemory memory = {};
  unsigned value = 0;
  if (f.nvml_memory != nullptr && f.nvml_memory(device, &memory) == kNvmlSuccess) {
    gpu.free_memory_bytes = memory.free;
  }
  NvmlUtilization utilization = {};
  if (f.nvml_utilization != nullptr && f.nvml_utilization(device, &utilization) == kNvmlSuccess) {
    gpu.utilization = utilization.gpu / 100.0;
  }
  if (f.nvml_power != nullptr && f.nvml_power(device, &value) == kNvmlSuccess) {
    gpu.power_watts = value / 1000.0;
  }
  if (f.nvml_temperature != nullptr &&
      f.nvml_temperature(device, kTemperatureOfGpu, &value) == kNvmlSuccess) {
    gpu.temperature_celsius = static_cast<int>(value);
  }
}

std::optional<uint64_t> GpuDriver::ProcessMemory(int ordinal) const {
  const Functions& f = *functions_;
  int device = 0;
  char bus_id[32] = {};
  void* nvml_device = nullptr;
  const bool is_known = f.HasCuda() && f.has_nvml && f.nvml_device != nullptr &&
                        f.nvml_processes != nullptr &&
                        f.device_get(&device, ordinal) == kCudaSuccess &&
                        f.device_bus_id(bus_id, sizeof(bus_id), device) == kCudaSuccess &&
                        f.nvml_device(bus_id, &nvml_device) == kNvmlSuccess;
  if (!is_known) return std::nullopt;
  std::vector<NvmlProcess> processes(kMaxProcesses);
  unsigned count = kMaxProcesses;
  if (f.nvml_processes(nvml_device, &count, processes.data()) != kNvmlSuccess) return std::nullopt;
  const unsigned own = static_cast<unsigned>(getpid());
  for (unsigned i = 0; i < std::min(count, kMaxProcesses); ++i) {
    if (processes[i].process_id != own || processes[i].memory == kNvmlUnknown) continue;
    return processes[i].memory;
  }
  return std::nullopt;
}

Status GpuDriver::CheckDriver() const {
  const Functions& f = *functions_;
  if (!f.HasCuda()) {
    return Unsupported(
        "this machine has no NVIDIA driver (libcuda.so.1 cannot be loaded); install driver 580 or "
        "newer, or use cpu");
  }
  int version = 0;
  if (f.driver_version(&version) == kCudaSuccess && version / 1000 < kNeededCudaMajor) {
    char driver[128] = {};
    const bool is_known = f.has_nvml && f.nvml_driver_version != nullptr &&
                          f.nvml_driver_version(driver, sizeof(driver)) == kNvmlSuccess;
    return Unsupported("the NVIDIA driver " + (is_known ? std::string(driver) + " " : "") +
                       "is too old: it knows CUDA " + std::to_string(version / 1000) + "." +
                       std::to_string(version % 1000 / 10) + ", and this build needs " +
                       kNeededDriver);
  }
  if (f.cuda_error == kCudaSuccess || f.cuda_error == kCudaErrorNoDevice) return Status();
  const char* text = nullptr;
  f.error_string(f.cuda_error, &text);
  return EngineFailed("the NVIDIA driver cannot be used: " +
                      std::string(text == nullptr ? "unknown error" : text) + " (error " +
                      std::to_string(f.cuda_error) + ")");
}

Status GpuDriver::CheckGpu(int ordinal) const {
  const Status driver = CheckDriver();
  if (!driver.ok()) return driver;
  const std::vector<GpuDescription> gpus = ListGpus();
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= gpus.size()) {
    std::string known;
    for (size_t i = 0; i < gpus.size(); ++i) {
      known += (i == 0 ? "; there is cuda:" : ", cuda:") + std::to_string(i) + " (" + gpus[i].name +
               ")";
    }
    return InvalidRequest("this process has " +
                          (gpus.empty()       ? std::string("no GPU")
                           : gpus.size() == 1 ? "one GPU"
                                              : std::to_string(gpus.size()) + " GPUs") +
                          VisibleText() + known);
  }
  const GpuDescription& gpu = gpus[static_cast<size_t>(ordinal)];
  if (gpu.capability_major >= kMinCapabilityMajor) return Status();
  return Unsupported(gpu.name + " has compute capability " + CapabilityText(gpu) +
                     "; kernels need 8.0 or newer (A100, RTX 30 and what came after them)");
}

}  // namespace autoglm
