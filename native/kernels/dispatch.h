#ifndef AUTOGLM_KERNELS_DISPATCH_H_
#define AUTOGLM_KERNELS_DISPATCH_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {

enum class IsaLevel { kReference, kAvx2, kAvx512, kAmx };

// Returns "reference", "avx2", "avx512" or "amx".
const char* IsaName(IsaLevel level);

// The kernels of one level, with every lower level applied before it.
struct KernelLevel {
  IsaLevel level;
  CpuKernels kernels;
};

// Returns the levels that are compiled in and that processor and operating system support, lowest
// first.
std::vector<KernelLevel> SupportedLevels();

struct KernelChoice {
  KernelLevel chosen;
  std::vector<IsaLevel> supported;
  std::string reason;  // "best supported" or "AUTOGLM_ISA=avx2"
};

// Chooses the level named `cap`, or the best one if cap is null or empty. A level that is unknown
// or not available here is refused, never replaced by another.
Result<KernelChoice> ChooseKernels(const char* cap);

// Calls ChooseKernels with the environment variable AUTOGLM_ISA, once per process.
const Result<KernelChoice>& ActiveKernels();

}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_DISPATCH_H_
