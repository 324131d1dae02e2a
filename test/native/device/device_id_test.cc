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

TEST_CASE("The list of devices begins with the CPU and its cores") {
  const std::vector<DeviceDescription> devices = ListDevices();

  REQUIRE_FALSE(devices.empty());
  CHECK_EQ(devices[0].id, "cpu");
  CHECK_EQ(DeviceKindName(devices[0].kind), std::string("cpu"));
  CHECK_GT(devices[0].memory_bytes, 0);
  CHECK_EQ(devices[0].cores, AvailableCores());
}

}  // namespace
}  // namespace autoglm
