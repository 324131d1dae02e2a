#include "device/device_id.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace autoglm {
namespace {

Status Malformed(std::string_view name) {
  return InvalidRequest("device \"" + std::string(name) +
                        "\" is not one of: cpu, cpu:0-3, cpu:0,2, cuda:0");
}

// Reads a whole non-negative decimal number.
bool ParseNumber(std::string_view text, int* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() && *number >= 0;
}

// Appends the cores of "3" or "0-3".
bool AppendRange(std::string_view range, std::vector<int>* cores) {
  const size_t dash = range.find('-');
  int first = 0;
  int last = 0;
  if (!ParseNumber(range.substr(0, dash), &first)) return false;
  last = first;
  if (dash != std::string_view::npos && !ParseNumber(range.substr(dash + 1), &last)) return false;
  if (last < first || last >= CPU_SETSIZE) return false;
  for (int core = first; core <= last; ++core) cores->push_back(core);
  return true;
}

Result<DeviceId> ParseCores(std::string_view name, std::string_view list) {
  DeviceId id;
  while (true) {
    const size_t comma = list.find(',');
    if (!AppendRange(list.substr(0, comma), &id.cores)) return Malformed(name);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  std::sort(id.cores.begin(), id.cores.end());
  id.cores.erase(std::unique(id.cores.begin(), id.cores.end()), id.cores.end());

  const std::vector<int> available = AvailableCores();
  for (const int core : id.cores) {
    if (!std::binary_search(available.begin(), available.end(), core)) {
      return InvalidRequest("device \"" + std::string(name) + "\": core " + std::to_string(core) +
                            " is not available to this process, which may use " +
                            std::to_string(available.size()) + " cores from " +
                            std::to_string(available.front()) + " to " +
                            std::to_string(available.back()));
    }
  }
  return id;
}

std::string CpuModelName() {
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/cpuinfo", "r"));
  char line[256];
  while (file != nullptr && std::fgets(line, sizeof(line), file.get()) != nullptr) {
    const char* colon = std::strchr(line, ':');
    if (std::strncmp(line, "model name", 10) != 0 || colon == nullptr) continue;
    std::string name(colon + 1);
    name.erase(0, name.find_first_not_of(" \t"));
    name.erase(name.find_last_not_of(" \t\n") + 1);
    return name;
  }
  return "CPU";
}

}  // namespace

const char* DeviceKindName(DeviceKind kind) { return kind == DeviceKind::kCpu ? "cpu" : "cuda"; }

Result<DeviceId> ParseDeviceId(std::string_view name) {
  if (name == "cpu") return DeviceId{};
  if (name.starts_with("cpu:")) return ParseCores(name, name.substr(4));
  if (name.starts_with("cuda:")) {
    DeviceId id;
    id.kind = DeviceKind::kCuda;
    if (ParseNumber(name.substr(5), &id.ordinal)) return id;
  }
  return Malformed(name);
}

std::vector<int> AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

std::vector<DeviceDescription> ListDevices() {
  const uint64_t memory_bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return {{"cpu", DeviceKind::kCpu, CpuModelName(), memory_bytes, AvailableCores()}};
}

}  // namespace autoglm
