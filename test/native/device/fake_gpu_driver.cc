// A library that answers as the driver of NVIDIA's GPUs and NVML do, for tests of what is found and
// what is refused. Environment variables say what it has:
//   FAKE_GPUS          "NAME,MAJOR.MINOR,GIBIBYTES;…"
//   FAKE_CUDA_VERSION  CUDA that the driver knows, 13000 if not set
//   FAKE_CUDA_ERROR    what cuInit returns, 0 if not set
//   FAKE_NVML_ERROR    what nvmlInit_v2 returns, 0 if not set
//   FAKE_PROCESS_MIB   what this process has of each GPU, MiB; not set: no process is listed

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct FakeGpu {
  std::string name;
  int major = 0;
  int minor = 0;
  size_t gibibytes = 0;
};

std::vector<FakeGpu> Gpus() {
  const char* text = std::getenv("FAKE_GPUS");
  std::stringstream list(text == nullptr ? "" : text);
  std::vector<FakeGpu> gpus;
  for (std::string item; std::getline(list, item, ';');) {
    FakeGpu gpu;
    char name[128] = {};
    std::sscanf(item.c_str(), "%127[^,],%d.%d,%zu", name, &gpu.major, &gpu.minor, &gpu.gibibytes);
    gpu.name = name;
    gpus.push_back(gpu);
  }
  return gpus;
}

int NumberOf(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

// Devices of NVML are the places of GPUs, counted from 1.
size_t IndexOf(void* device) { return reinterpret_cast<size_t>(device) - 1; }

}  // namespace

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))

FAKE_EXPORT int cuInit(unsigned) { return NumberOf("FAKE_CUDA_ERROR", 0); }

FAKE_EXPORT int cuDriverGetVersion(int* version) {
  *version = NumberOf("FAKE_CUDA_VERSION", 13000);
  return 0;
}

FAKE_EXPORT int cuDeviceGetCount(int* count) {
  *count = static_cast<int>(Gpus().size());
  return 0;
}

FAKE_EXPORT int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}

FAKE_EXPORT int cuDeviceGetName(char* name, int size, int device) {
  std::snprintf(name, static_cast<size_t>(size), "%s",
                Gpus()[static_cast<size_t>(device)].name.c_str());
  return 0;
}

FAKE_EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  *bytes = Gpus()[static_cast<size_t>(device)].gibibytes << 30;
  return 0;
}

FAKE_EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device) {
  const FakeGpu gpu = Gpus()[static_cast<size_t>(device)];
  if (attribute != 75 && attribute != 76) return 1;
  *value = attribute == 75 ? gpu.major : gpu.minor;
  return 0;
}

FAKE_EXPORT int cuDeviceGetPCIBusId(char* bus_id, int size, int device) {
  std::snprintf(bus_id, static_cast<size_t>(size), "0000:%02x:00.0", 0x3b + device);
  return 0;
}

FAKE_EXPORT int cuGetErrorString(int, const char** text) {
  *text = "system not yet initialized";
  return 0;
}

FAKE_EXPORT int nvmlInit_v2() { return NumberOf("FAKE_NVML_ERROR", 0); }

FAKE_EXPORT int nvmlSystemGetDriverVersion(char* version, unsigned size) {
  std::snprintf(version, size, "550.54.15");
  return 0;
}

FAKE_EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  unsigned bus = 0;
  std::sscanf(bus_id, "0000:%02x:00.0", &bus);
  *device = reinterpret_cast<void*>(static_cast<size_t>(bus - 0x3b + 1));
  return 0;
}

FAKE_EXPORT int nvmlDeviceGetMemoryInfo(void* device, unsigned long long (*memory)[3]) {
  (*memory)[0] = Gpus()[IndexOf(device)].gibibytes << 30;
  (*memory)[1] = (*memory)[0] / 2;
  (*memory)[2] = (*memory)[0] / 2;
  return 0;
}

namespace {

struct FakeProcess {
  unsigned process_id;
  unsigned long long memory;
  unsigned instances[2];
};

}  // namespace

// Another process comes first, and of a third one the memory is not known.
FAKE_EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count,
                                                        FakeProcess* processes) {
  constexpr unsigned kInsufficientSize = 7;
  const char* text = std::getenv("FAKE_PROCESS_MIB");
  const unsigned listed = text == nullptr ? 2 : 3;
  if (*count < listed) return kInsufficientSize;
  *count = listed;
  processes[0] = {1, 5ull << 30, {}};
  processes[1] = {2, ~0ull, {}};
  if (text != nullptr) {
    processes[2] = {static_cast<unsigned>(getpid()), std::strtoull(text, nullptr, 10) << 20, {}};
  }
  return 0;
}

FAKE_EXPORT int nvmlDeviceGetUtilizationRates(void*, unsigned (*percent)[2]) {
  (*percent)[0] = 25;
  (*percent)[1] = 10;
  return 0;
}

FAKE_EXPORT int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  *milliwatts = 71500 + static_cast<unsigned>(IndexOf(device));
  return 0;
}

// The second GPU does not tell its temperature.
FAKE_EXPORT int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  *celsius = 41;
  return IndexOf(device) == 1 ? 3 : 0;
}
