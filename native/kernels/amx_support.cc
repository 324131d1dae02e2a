#include "kernels/amx_support.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace autoglm::kernels {
namespace {

#if defined(__x86_64__) && defined(__linux__)

bool HasInstructions() {
  constexpr unsigned kAmx = 1u << 22 | 1u << 24 | 1u << 25;  // amx_bf16, amx_tile, amx_int8
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmx) == kAmx;
}

// Returns true if the system has enabled the state components of tiles, 17 and 18 of XCR0.
bool HasTileState() {
  constexpr unsigned kOsXsave = 1u << 27;
  constexpr unsigned kTiles = 1u << 17 | 1u << 18;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kOsXsave) == 0) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTiles) == kTiles;
}

bool RequestPermission() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
}

AmxSupport Request() {
  if (!HasInstructions()) return AmxSupport::kNoInstructions;
  if (!HasTileState()) return AmxSupport::kNoTileState;
  return RequestPermission() ? AmxSupport::kAvailable : AmxSupport::kNoPermission;
}

#else

AmxSupport Request() { return AmxSupport::kNoInstructions; }

#endif

}  // namespace

AmxSupport RequestAmx() {
  static const AmxSupport support = Request();
  return support;
}

const char* DescribeAmxSupport(AmxSupport support) {
  switch (support) {
    case AmxSupport::kAvailable:
      return "the processor and the system have tiles";
    case AmxSupport::kNoInstructions:
      return "the processor has no amx_tile, amx_bf16 and amx_int8";
    case AmxSupport::kNoTileState:
      return "the operating system does not save tile registers (Linux does from 5.16 on)";
    case AmxSupport::kNoPermission:
      return "the operating system refused this process the tile registers (arch_prctl "
             "ARCH_REQ_XCOMP_PERM)";
  }
  return "unknown";
}

}  // namespace autoglm::kernels
