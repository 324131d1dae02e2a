#include "device/device_id.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "device/cgroup.h"

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

// Refuses two devices of a group that are one, or overlap.
Status CheckPair(const DeviceId& a, const DeviceId& b) {
  const std::string names = DeviceName(a) + " and " + DeviceName(b);
  if (a.kind != b.kind) {
    return InvalidRequest("key \"device\": " + names + " are of different kinds; one model is " +
                          "computed by CPUs alone, or by GPUs alone");
  }
  if (a.kind == DeviceKind::kCuda) {
    if (a.ordinal != b.ordinal) return Status();
    return InvalidRequest("key \"device\": " + DeviceName(a) +
                          " stands there twice; each rank of a group needs a GPU of its own");
  }
  if (a.cores.empty() || b.cores.empty()) {
    return InvalidRequest("key \"device\": cpu stands for every core and cannot be one of "
                          "several devices; write sets of cores, such as cpu:0-3,cpu:4-7");
  }
  std::vector<int> shared;
  std::set_intersection(a.cores.begin(), a.cores.end(), b.cores.begin(), b.cores.end(),
                        std::back_inserter(shared));
  if (shared.empty()) return Status();
  return InvalidRequest("key \"device\": " + names + " share core " +
                        std::to_string(shared.front()) +
                        "; each rank of a group needs cores of its own");
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

std::string DeviceName(const DeviceId& id) {
  if (id.kind == DeviceKind::kCuda) return "cuda:" + std::to_string(id.ordinal);
  std::string name = "cpu";
  const std::vector<int>& cores = id.cores;
  for (size_t begin = 0, end = 0; begin < cores.size(); begin = end) {
    for (end = begin + 1; end < cores.size() && cores[end] == cores[end - 1] + 1;) ++end;
    name += begin == 0 ? ':' : ',';
    name += std::to_string(cores[begin]);
    if (end == begin + 1) continue;
    name += '-';
    name += std::to_string(cores[end - 1]);
  }
  return name;
}

Status CheckDeviceGroup(const std::vector<DeviceId>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const Status pair = CheckPair(devices[j], devices[i]);
      if (!pair.ok()) return pair;
    }
  }
  return Status();
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

std::vector<DeviceDescription> ListDevices(const GpuDriver& driver) {
  const uint64_t installed =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t memory_bytes =
      std::min(installed, ReadCgroupLimits().memory_bytes.value_or(installed));
  std::vector<DeviceDescription> devices = {
      {"cpu", DeviceKind::kCpu, CpuModelName(), memory_bytes, AvailableCores()}};
  int ordinal = 0;
  for (const GpuDescription& gpu : driver.ListGpus()) {
    devices.push_back({"cuda:" + std::to_string(ordinal++), DeviceKind::kCuda, gpu.name,
                       gpu.memory_bytes, {}, gpu});
  }
  return devices;
}

}  // namespace autoglm
