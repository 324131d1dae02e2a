#ifndef AUTOGLM_DEVICE_HOST_MEMORY_H_
#define AUTOGLM_DEVICE_HOST_MEMORY_H_

#include <cstdint>
#include <string>

#include "device/cgroup.h"

namespace autoglm {

// Memory of this machine, and what the control groups allow this process of it.
struct HostMemory {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // without swapping, what the system's file cache takes included
  CgroupLimits limits;

  // Returns the bytes that this process may still take.
  uint64_t FreeBytes() const;
  // Writes "9.31 GiB of the machine's 23.5 GiB are free, 1.20 GiB of the control group's 4.00 GiB".
  std::string InWords() const;
};

// Reads the memory as it is now. `root` is "/", or a folder that holds proc and sys in a test.
HostMemory ReadHostMemory(const std::string& root = "/");

// Writes bytes as "1.25 GiB".
std::string GibText(uint64_t bytes);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_HOST_MEMORY_H_
