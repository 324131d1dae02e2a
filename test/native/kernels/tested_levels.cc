#include "tested_levels.h"

#include <algorithm>

#include "kernels/dispatch.h"
#ifdef AUTOGLM_HAS_SOFTWARE_AMX
#include "amx/software_amx.h"
#endif

namespace autoglm::kernels {

std::vector<TestedLevel> TestedLevels() {
  const std::vector<KernelLevel> supported = SupportedLevels();
  std::vector<TestedLevel> levels;
  for (const IsaLevel level : {IsaLevel::kReference, IsaLevel::kAvx2, IsaLevel::kAvx512,
                               IsaLevel::kAmx}) {
    const auto found = std::ranges::find(supported, level, &KernelLevel::level);
    levels.push_back({IsaName(level), std::nullopt});
    if (found != supported.end()) levels.back().kernels = found->kernels;
  }
#ifdef AUTOGLM_HAS_SOFTWARE_AMX
  levels.push_back({"amx on software tiles", std::nullopt});
  const auto avx512 = std::ranges::find(supported, IsaLevel::kAvx512, &KernelLevel::level);
  if (avx512 != supported.end()) {
    levels.back().kernels = avx512->kernels;
    ApplySoftwareAmx(*levels.back().kernels);
  }
  // What processors with a part of the level's instructions run.
  levels.push_back({"avx512 without vnni", std::nullopt});
  levels.push_back({"avx512 without bf16", std::nullopt});
  if (avx512 != supported.end()) {
    CpuKernels kernels = avx512->kernels;
    ApplyAvx512(kernels);
    levels[levels.size() - 2].kernels = kernels;
    ApplyAvx512Vnni(kernels);
    if (__builtin_cpu_supports("avx512vnni")) levels.back().kernels = kernels;
  }
#endif
  return levels;
}

}  // namespace autoglm::kernels
