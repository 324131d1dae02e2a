#include "device/cgroup.h"

#include <filesystem>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

// A machine's proc and sys folders, as far as control groups go.
class Machine {
 public:
  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(
        std::filesystem::path(root_.path() + "/" + name).parent_path());
    root_.Write(name, content);
  }
  CgroupLimits Limits() const { return ReadCgroupLimits(root_.path()); }

 private:
  const TemporaryDirectory root_;
};

TEST_CASE("A machine without control groups sets no limit") {
  const CgroupLimits limits = Machine().Limits();

  CHECK_FALSE(limits.memory_bytes.has_value());
  CHECK_FALSE(limits.num_cores.has_value());
}

TEST_CASE("Version 2: the lowest limit of a group and those above it holds") {
  Machine machine;
  machine.Write("proc/self/cgroup", "0::/system.slice/mesh.service\n");
  machine.Write("sys/fs/cgroup/system.slice/memory.max", "2000000000\n");
  machine.Write("sys/fs/cgroup/system.slice/mesh.service/memory.max", "max\n");
  machine.Write("sys/fs/cgroup/system.slice/mesh.service/cpu.max", "250000 100000\n");
  machine.Write("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");

  CHECK_EQ(machine.Limits().memory_bytes, 2'000'000'000);
  CHECK_EQ(machine.Limits().num_cores, 3);
}

TEST_CASE("Version 2 in a container, where only the group itself is mounted") {
  Machine machine;
  machine.Write("proc/self/cgroup", "0::/docker/outside\n");
  machine.Write("sys/fs/cgroup/memory.max", "1073741824\n");
  machine.Write("sys/fs/cgroup/cpu.max", "50000 100000\n");

  CHECK_EQ(machine.Limits().memory_bytes, 1'073'741'824);
  CHECK_EQ(machine.Limits().num_cores, 1);
}

TEST_CASE("Version 1: each controller has a tree of its own") {
  Machine machine;
  machine.Write("proc/self/cgroup", "4:memory:/pod\n2:cpu,cpuacct:/pod\n0::/\n");
  machine.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  machine.Write("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "4294967296\n");
  machine.Write("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "400000\n");
  machine.Write("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
  machine.Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");

  CHECK_EQ(machine.Limits().memory_bytes, 4'294'967'296);
  CHECK_EQ(machine.Limits().num_cores, 4);
}

TEST_CASE("Groups without a limit set none") {
  Machine machine;
  machine.Write("proc/self/cgroup", "4:memory:/\n0::/\nodd line\n");
  machine.Write("sys/fs/cgroup/memory.max", "max\n");
  machine.Write("sys/fs/cgroup/cpu.max", "max 100000\n");
  machine.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");

  CHECK_FALSE(machine.Limits().memory_bytes.has_value());
  CHECK_FALSE(machine.Limits().num_cores.has_value());
}

}  // namespace
}  // namespace autoglm
