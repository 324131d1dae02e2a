#include "device/gpu_driver.h"

#include <cstdlib>
#include <map>
#include <string>

#include "device/device_id.h"
#include "doctest/doctest.h"

namespace autoglm {
namespace {

constexpr const char* kFake = FAKE_GPU_DRIVER;

using Variables = std::map<std::string, std::string>;

// Environment variables for as long as it exists.
class Environment {
 public:
  explicit Environment(const Variables& values) : values_(values) {
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : values_) unsetenv(name.c_str());
  }

 private:
  const Variables values_;
};

const Variables kTwoGpus = {
    {"FAKE_GPUS", "NVIDIA H200,9.0,141;Tesla T4,7.5,16"}};

std::string RefusalOf(int ordinal, Reason reason) {
  const Status status = GpuDriver({kFake, kFake}).CheckGpu(ordinal);
  CHECK_EQ(status.reason(), reason);
  return status.message();
}

TEST_CASE("GPUs are listed behind the CPU as their driver describes them") {
  const Environment environment(kTwoGpus);
  const GpuDriver driver({kFake, kFake});

  const std::vector<DeviceDescription> devices = ListDevices(driver);

  REQUIRE_EQ(devices.size(), 3);
  CHECK_EQ(devices[0].id, "cpu");
  CHECK(!devices[0].gpu.has_value());
  CHECK_EQ(devices[1].id, "cuda:0");
  CHECK_EQ(devices[1].kind, DeviceKind::kCuda);
  CHECK_EQ(devices[1].name, "NVIDIA H200");
  CHECK_EQ(devices[1].memory_bytes, uint64_t{141} << 30);
  CHECK(devices[1].cores.empty());
  REQUIRE(devices[1].gpu.has_value());
  const GpuDescription& gpu = *devices[1].gpu;
  CHECK_EQ(gpu.bus_id, "0000:3b:00.0");
  CHECK_EQ(gpu.capability_major, 9);
  CHECK_EQ(gpu.capability_minor, 0);
  CHECK_EQ(gpu.free_memory_bytes.value_or(0), (uint64_t{141} << 30) / 2);
  CHECK_EQ(gpu.utilization.value_or(0), 0.25);
  CHECK_EQ(gpu.power_watts.value_or(0), 71.5);
  CHECK_EQ(gpu.temperature_celsius.value_or(0), 41);
  CHECK_EQ(devices[2].id, "cuda:1");
  CHECK_EQ(devices[2].gpu->bus_id, "0000:3c:00.0");
  CHECK(!devices[2].gpu->temperature_celsius.has_value());
}

TEST_CASE("Without NVML a GPU is listed without what only NVML knows") {
  const Environment environment(kTwoGpus);
  for (const char* nvml : {"libno-such-nvml.so", kFake}) {
    const Environment broken(Variables{{"FAKE_NVML_ERROR", "9"}});
    const std::vector<GpuDescription> gpus = GpuDriver({kFake, nvml}).ListGpus();
    REQUIRE_EQ(gpus.size(), 2);
    CHECK_EQ(gpus[0].name, "NVIDIA H200");
    CHECK(!gpus[0].free_memory_bytes.has_value());
    CHECK(!gpus[0].power_watts.has_value());
    CHECK(!gpus[0].temperature_celsius.has_value());
  }
}

TEST_CASE("A process knows what it has of a GPU where NVML lists it") {
  const Environment environment(kTwoGpus);
  const GpuDriver driver({kFake, kFake});

  CHECK(!driver.ProcessMemory(0).has_value());
  const Environment listed(Variables{{"FAKE_PROCESS_MIB", "700"}});
  CHECK_EQ(driver.ProcessMemory(0).value_or(0), uint64_t{700} << 20);
  CHECK(!GpuDriver({kFake, "libno-such-nvml.so"}).ProcessMemory(0).has_value());
}

TEST_CASE("A machine without a driver has no GPUs") {
  const GpuDriver driver({"libno-such-driver.so", "libno-such-nvml.so"});

  CHECK(driver.ListGpus().empty());
  const Status status = driver.CheckGpu(0);
  CHECK_EQ(status.reason(), Reason::kUnsupported);
  CHECK_EQ(status.message(),
           "this machine has no NVIDIA driver (libcuda.so.1 cannot be loaded); "
           "install driver 580 or newer, or use cpu");
}

TEST_CASE("A driver that is too old is refused with what is needed") {
  const Environment environment(kTwoGpus);
  const Environment old(Variables{{"FAKE_CUDA_VERSION", "12040"}});

  CHECK_EQ(RefusalOf(0, Reason::kUnsupported),
           "the NVIDIA driver 550.54.15 is too old: it knows CUDA 12.4, and this "
           "build needs CUDA 13.0, which is in driver 580 and newer");
}

TEST_CASE("A driver that does not start is refused with its own words") {
  const Environment environment(Variables{{"FAKE_CUDA_ERROR", "802"}});

  CHECK_EQ(RefusalOf(0, Reason::kEngineFailed),
           "the NVIDIA driver cannot be used: system not yet initialized (error "
           "802)");
}

TEST_CASE("A GPU that is not there is refused with those that are") {
  {
    const Environment environment(kTwoGpus);
    CHECK_EQ(RefusalOf(9, Reason::kInvalidRequest),
             "this process has 2 GPUs; there is cuda:0 (NVIDIA H200), cuda:1 "
             "(Tesla T4)");
  }
  {
    const Environment environment(
        Variables{{"FAKE_GPUS", "NVIDIA A100,8.0,80"}, {"CUDA_VISIBLE_DEVICES", "3"}});
    CHECK_EQ(RefusalOf(1, Reason::kInvalidRequest),
             "this process has one GPU (CUDA_VISIBLE_DEVICES is \"3\"); there is "
             "cuda:0 (NVIDIA A100)");
  }
  {
    const Environment environment(Variables{{"FAKE_CUDA_ERROR", "100"}, {"CUDA_VISIBLE_DEVICES", ""}});
    CHECK_EQ(RefusalOf(0, Reason::kInvalidRequest),
             "this process has no GPU (CUDA_VISIBLE_DEVICES is \"\")");
  }
}

TEST_CASE("A GPU below 8.0 is refused by name") {
  const Environment environment(kTwoGpus);

  CHECK(GpuDriver({kFake, kFake}).CheckGpu(0).ok());
  CHECK_EQ(RefusalOf(1, Reason::kUnsupported),
           "Tesla T4 has compute capability 7.5; kernels need 8.0 or newer (A100, "
           "RTX 30 and what came after them)");
}

}  // namespace
}  // namespace autoglm
