#include "device/host_memory.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace autoglm {
namespace {

constexpr uint64_t kKib = 1024;

}  // namespace

HostMemory ReadHostMemory(const std::string& root) {
  HostMemory memory;
  memory.limits = ReadCgroupLimits(root);
  // A line is "MemTotal:       24576000 kB".
  std::ifstream file(root + "/proc/meminfo");
  std::string name, unit;
  for (uint64_t amount = 0; file >> name >> amount; std::getline(file, unit)) {
    if (name == "MemTotal:") memory.total_bytes = amount * kKib;
    if (name == "MemAvailable:") memory.available_bytes = amount * kKib;
  }
  return memory;
}

uint64_t HostMemory::FreeBytes() const {
  return std::min(available_bytes, limits.free_memory_bytes.value_or(available_bytes));
}

std::string HostMemory::InWords() const {
  std::string words =
      GibText(available_bytes) + " of the machine's " + GibText(total_bytes) + " are free";
  if (limits.memory_bytes.has_value() && limits.free_memory_bytes.has_value()) {
    words += ", " + GibText(*limits.free_memory_bytes) + " of the control group's " +
             GibText(*limits.memory_bytes);
  }
  return words;
}

std::string GibText(uint64_t bytes) {
  const double gib = static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0);
  char text[32];
  std::snprintf(text, sizeof(text), gib < 10.0 ? "%.2f GiB" : "%.1f GiB", gib);
  return text;
}

}  // namespace autoglm
