#include "device/device_id.h"

#include "doctest/doctest.h"

namespace autoglm {
namespace {

TEST_CASE("A device named cpu has no core of its own") {
  const Result<DeviceId> id = ParseDeviceId("cpu");

  REQUIRE(id.ok());
  CHECK_EQ(id.value().kind, DeviceKind::kCpu);
  CHECK(id.value().cores.empty());
}

TEST_CASE("A device may name its cores in ranges, in any order and twice") {
  const std::string first = std::to_string(AvailableCores().front());

  const Result<DeviceId> id = ParseDeviceId("cpu:" + first + "-" + first + "," + first);

  REQUIRE(id.ok());
  CHECK_EQ(id.value().cores, std::vector<int>{AvailableCores().front()});
}

TEST_CASE("A GPU is named by its ordinal") {
  const Result<DeviceId> id = ParseDeviceId("cuda:3");

  REQUIRE(id.ok());
  CHECK_EQ(id.value().kind, DeviceKind::kCuda);
  CHECK_EQ(id.value().ordinal, 3);
}

TEST_CASE("A malformed device name is refused with the forms that exist") {
  for (const char* name : {"", "gpu", "cpu:", "cpu:a", "cpu:1-", "cpu:2-1", "cpu:-1", "cpu:0,,1",
                           "cpu:0x1", "cpu: 0", "cuda", "cuda:", "cuda:x", "cpu:99999999999"}) {
    CAPTURE(name);

    const Result<DeviceId> id = ParseDeviceId(name);

    REQUIRE_FALSE(id.ok());
    CHECK_EQ(id.status().reason(), Reason::kInvalidRequest);
    CHECK_NE(id.status().message().find("cpu:0-3"), std::string::npos);
  }
}

TEST_CASE("A core the process may not use is refused by its number") {
  const std::string core = std::to_string(AvailableCores().back() + 1);

  const Result<DeviceId> id = ParseDeviceId("cpu:" + core);

  REQUIRE_FALSE(id.ok());
  CHECK_NE(id.status().message().find("core " + core), std::string::npos);
}

TEST_CASE("The name of a device is what it was parsed from, in order") {
  CHECK_EQ(DeviceName({}), "cpu");
  CHECK_EQ(DeviceName({.kind = DeviceKind::kCuda, .cores = {}, .ordinal = 3}), "cuda:3");
  CHECK_EQ(DeviceName({.cores = {0, 1, 2, 4, 6, 7}}), "cpu:0-2,4,6-7");
}

TEST_CASE("Devices that cannot compute one model together are refused by their names") {
  const DeviceId all = {};
  const DeviceId first = {.cores = {0, 1}};
  const DeviceId second = {.cores = {2, 3}};
  const DeviceId overlapping = {.cores = {1, 4}};
  const DeviceId gpu = {.kind = DeviceKind::kCuda, .cores = {}, .ordinal = 1};
  const DeviceId other_gpu = {.kind = DeviceKind::kCuda, .cores = {}, .ordinal = 2};
  const auto refusal = [](const std::vector<DeviceId>& devices) {
    const Status status = CheckDeviceGroup(devices);
    if (!status.ok()) CHECK_EQ(status.message().find("key \"device\": "), 0);
    return status.message();
  };

  CHECK_EQ(refusal({all}), "");
  CHECK_EQ(refusal({first, second}), "");
  CHECK_EQ(refusal({gpu, other_gpu}), "");
  CHECK_NE(refusal({first, second, overlapping}).find("cpu:0-1 and cpu:1,4 share core 1"),
           std::string::npos);
  CHECK_NE(refusal({first, first}).find("share core 0"), std::string::npos);
  CHECK_NE(refusal({gpu, other_gpu, gpu}).find("cuda:1 stands there twice"), std::string::npos);
  CHECK_NE(refusal({first, gpu}).find("cpu:0-1 and cuda:1 are of different kinds"),
           std::string::npos);
  CHECK_NE(refusal({all, second}).find("cpu stands for every core"), std::string::npos);
}

TEST_CASE("The list of devices begins with the CPU and its cores") {
  const std::vector<DeviceDescription> devices =
      ListDevices(GpuDriver({"libno-such-driver.so", "libno-such-nvml.so"}));

  REQUIRE_FALSE(devices.empty());
  CHECK_EQ(devices[0].id, "cpu");
  CHECK_EQ(DeviceKindName(devices[0].kind), std::string("cpu"));
  CHECK_GT(devices[0].memory_bytes, 0);
  CHECK_EQ(devices[0].cores, AvailableCores());
}

}  // namespace
}  // namespace autoglm
