#ifndef AUTOGLM_KERNELS_DISPATCH_H_
#define AUTOGLM_KERNELS_DISPATCH_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace autoglm::kernels {

enum class IsaLevel { kReference, kAvx2, kAvx512, kAmx };

// "reference", "avx2", "avx512" or "amx".
const char* IsaName(IsaLevel level);

// The kernels of one level: everything up to and including it applied.
struct KernelLevel {
  IsaLevel level;
  CpuKernels kernels;
};

// Levels that are compiled in and that processor and operating system support, lowest first.
std::vector<KernelLevel> SupportedLevels();

struct KernelChoice {
  KernelLevel chosen;
  std::vector<IsaLevel> supported;
  std::string reason;  // "best supported" or "AUTOGLM_ISA=avx2"
};

// Chooses the level named `cap`, or the best one where cap is null or empty. A level that is
// unknown or not available here is refused, never replaced by another.
Result<KernelChoice> ChooseKernels(const char* cap);

// ChooseKernels with the environment variable AUTOGLM_ISA, decided once per process.
const Result<KernelChoice>& ActiveKernels();

}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_DISPATCH_H_
