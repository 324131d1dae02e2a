#include "model/weights/memory_share.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "device/host_memory.h"

namespace autoglm {
namespace {

// Left to what a step may still need beside a model: room for requests longer than any before.
constexpr uint64_t kSpareBytes = uint64_t{128} << 20;

uint64_t Without(uint64_t bytes, uint64_t taken) { return bytes - std::min(bytes, taken); }

std::string ShareText(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", share);
  return text;
}

}  // namespace

Result<FreeMemory> FindFreeMemory(const Device& device, std::optional<double> share) {
  FreeMemory free = device.ops->free_memory(*device.context);
  if (!share.has_value()) return free;
  const std::optional<OwnMemory> own = device.ops->own_memory(*device.context);
  if (!own.has_value()) {
    return InvalidRequest("a share of a device's memory is for devices that have their own; a CPU "
                          "needs a size of the KV cache");
  }
  const uint64_t may_take = static_cast<uint64_t>(*share * static_cast<double>(own->total_bytes));
  free.bytes = std::min(Without(may_take, own->taken_bytes), Without(free.bytes, kSpareBytes));
  free.in_words = "of " + own->device + " it may use " + ShareText(*share) + " of " +
                  GibText(own->total_bytes) + ", " + GibText(may_take) + ", and uses " +
                  GibText(own->taken_bytes) + " already; " + free.in_words;
  return free;
}

}  // namespace autoglm
