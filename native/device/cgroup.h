#ifndef AUTOGLM_DEVICE_CGROUP_H_
#define AUTOGLM_DEVICE_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>

namespace autoglm {

// What a container or a service manager leaves of the machine to this process; none: no limit.
struct CgroupLimits {
  std::optional<uint64_t> memory_bytes;
  // What the group that is nearest to its limit may still take. Pages of files count as free, for
  // the system gives them up first.
  std::optional<uint64_t> free_memory_bytes;
  std::optional<int64_t> num_cores;  // the share of processor time in whole cores, rounded up
};

// Reads the limits of the process's control group and of all groups above it, versions 1 and 2
// (https://docs.kernel.org/admin-guide/cgroup-v2.html). `root` is "/", or a folder that holds proc
// and sys in a test.
CgroupLimits ReadCgroupLimits(const std::string& root = "/");

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_CGROUP_H_
