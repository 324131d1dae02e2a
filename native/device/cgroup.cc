#include "device/cgroup.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

namespace autoglm {
namespace {

template <typename T>
void Lower(std::optional<T>& limit, T value) {
  if (value > 0) limit = std::min(limit.value_or(value), value);
}

// Reads one number of a file; 0 if there is no file, or "max" or -1 for no limit.
int64_t ReadNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : 0;
}

void LowerCores(CgroupLimits& limits, int64_t quota_us, int64_t period_us) {
  if (quota_us <= 0 || period_us <= 0) return;
  Lower(limits.num_cores, (quota_us + period_us - 1) / period_us);
}

// Returns the bytes of file pages among those that a group uses; `prefix` begins the names of
// memory.stat.
int64_t ReadFilePages(const std::string& group, const std::string& prefix) {
  std::ifstream file(group + "/memory.stat");
  int64_t bytes = 0;
  std::string name;
  for (int64_t amount = 0; file >> name >> amount;) {
    if (name == prefix + "inactive_file" || name == prefix + "active_file") bytes += amount;
  }
  return bytes;
}

struct GroupMemory {
  int64_t limit_bytes;  // 0: none
  int64_t used_bytes;
  int64_t file_bytes;  // part of used_bytes
};

void LowerMemory(CgroupLimits& limits, const GroupMemory& group) {
  if (group.limit_bytes <= 0) return;
  Lower(limits.memory_bytes, static_cast<uint64_t>(group.limit_bytes));
  const int64_t held = std::max<int64_t>(group.used_bytes - group.file_bytes, 0);
  const uint64_t free = static_cast<uint64_t>(std::max<int64_t>(group.limit_bytes - held, 0));
  limits.free_memory_bytes = std::min(limits.free_memory_bytes.value_or(free), free);
}

void ReadVersion2(const std::string& group, CgroupLimits& limits) {
  LowerMemory(limits, {.limit_bytes = ReadNumber(group + "/memory.max"),
                       .used_bytes = ReadNumber(group + "/memory.current"),
                       .file_bytes = ReadFilePages(group, "")});
  std::ifstream file(group + "/cpu.max");
  int64_t quota_us = 0;
  int64_t period_us = 0;
  if (file >> quota_us >> period_us) LowerCores(limits, quota_us, period_us);
}

void ReadMemoryVersion1(const std::string& group, CgroupLimits& limits) {
  // Without a limit the file holds the largest number of pages, near 2^63.
  const int64_t bytes = ReadNumber(group + "/memory.limit_in_bytes");
  if (bytes >= int64_t{1} << 60) return;
  LowerMemory(limits, {.limit_bytes = bytes,
                       .used_bytes = ReadNumber(group + "/memory.usage_in_bytes"),
                       .file_bytes = ReadFilePages(group, "total_")});
}

void ReadCpuVersion1(const std::string& group, CgroupLimits& limits) {
  LowerCores(limits, ReadNumber(group + "/cpu.cfs_quota_us"),
             ReadNumber(group + "/cpu.cfs_period_us"));
}

// Calls `read` for the group at `path` and every group above it. In a container the path may be the
// one outside, of which only the top is mounted.
void ForEachGroup(const std::string& mount, std::string path,
                  const std::function<void(const std::string&)>& read) {
  while (true) {
    read(mount + path);
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || path.empty()) return;
    path.resize(slash);
  }
}

bool HasController(const std::string& list, const std::string& name) {
  return ("," + list + ",").find("," + name + ",") != std::string::npos;
}

}  // namespace

CgroupLimits ReadCgroupLimits(const std::string& root) {
  CgroupLimits limits;
  std::ifstream file(root + "/proc/self/cgroup");
  // A line is "ID:CONTROLLERS:PATH"; version 2 has no controllers.
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string id, controllers, path;
    std::getline(fields, id, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    if (path == "/") path.clear();
    const std::string mounts = root + "/sys/fs/cgroup";
    if (controllers.empty()) {
      ForEachGroup(mounts, path, [&](const auto& group) { ReadVersion2(group, limits); });
    }
    if (HasController(controllers, "memory")) {
      ForEachGroup(mounts + "/memory", path,
                   [&](const auto& group) { ReadMemoryVersion1(group, limits); });
    }
    if (HasController(controllers, "cpu")) {
      ForEachGroup(mounts + "/cpu", path,
                   [&](const auto& group) { ReadCpuVersion1(group, limits); });
    }
  }
  return limits;
}

}  // namespace autoglm
