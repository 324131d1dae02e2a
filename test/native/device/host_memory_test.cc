#include "device/host_memory.h"

#include <filesystem>
#include <string>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30;

// A machine of 16 GiB, 8 of them free, whose processes are in the group /mesh.
class Machine {
 public:
  explicit Machine(const std::string& controllers) {
    Write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1048576 kB\n"
                          "MemAvailable:    8388608 kB\nBuffers:               0 kB\n");
    Write("proc/self/cgroup", "0:" + controllers + ":/mesh\n");
  }
  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(
        std::filesystem::path(root_.path() + "/" + name).parent_path());
    root_.Write(name, content);
  }
  HostMemory Memory() const { return ReadHostMemory(root_.path()); }

 private:
  const TemporaryDirectory root_;
};

TEST_CASE("Without a control group what the machine has available is free") {
  const HostMemory memory = Machine("").Memory();

  CHECK_EQ(memory.FreeBytes(), 8 * kGib);
  CHECK_EQ(memory.InWords(), "8.00 GiB of the machine's 16.0 GiB are free");
}

TEST_CASE("A control group of version 2 leaves what its limit has over its use without files") {
  const Machine machine("");
  machine.Write("sys/fs/cgroup/mesh/memory.max", std::to_string(4 * kGib));
  machine.Write("sys/fs/cgroup/mesh/memory.current", std::to_string(3 * kGib));
  machine.Write("sys/fs/cgroup/mesh/memory.stat",
                "anon 5\ninactive_file " + std::to_string(kGib) + "\nactive_file " +
                    std::to_string(kGib / 2) + "\nunevictable 0\n");

  const HostMemory memory = machine.Memory();

  CHECK_EQ(memory.FreeBytes(), 5 * kGib / 2);
  CHECK_EQ(memory.InWords(),
           "8.00 GiB of the machine's 16.0 GiB are free, 2.50 GiB of the control group's 4.00 GiB");
}

TEST_CASE("A control group of version 1 does the same") {
  const Machine machine("memory");
  machine.Write("sys/fs/cgroup/memory/mesh/memory.limit_in_bytes", std::to_string(2 * kGib));
  machine.Write("sys/fs/cgroup/memory/mesh/memory.usage_in_bytes", std::to_string(kGib));
  machine.Write("sys/fs/cgroup/memory/mesh/memory.stat", "total_inactive_file 1024\n");

  CHECK_EQ(machine.Memory().FreeBytes(), kGib + 1024);
}

TEST_CASE("A group that uses all it may leaves nothing, whatever the groups above it leave") {
  const Machine machine("");
  machine.Write("sys/fs/cgroup/memory.max", std::to_string(4 * kGib));
  machine.Write("sys/fs/cgroup/memory.current", "0");
  machine.Write("sys/fs/cgroup/mesh/memory.max", std::to_string(kGib));
  machine.Write("sys/fs/cgroup/mesh/memory.current", std::to_string(kGib));

  CHECK_EQ(machine.Memory().FreeBytes(), 0);
}

}  // namespace
}  // namespace autoglm
