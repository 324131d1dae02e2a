#include "tested_levels.h"

#include <algorithm>

#include "kernels/dispatch.h"

namespace autoglm::kernels {

std::vector<TestedLevel> TestedLevels() {
  const std::vector<KernelLevel> supported = SupportedLevels();
  std::vector<TestedLevel> levels;
  for (const IsaLevel level : {IsaLevel::kReference, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    const auto found = std::ranges::find(supported, level, &KernelLevel::level);
    levels.push_back({IsaName(level), std::nullopt});
    if (found != supported.end()) levels.back().kernels = found->kernels;
  }
  return levels;
}

}  // namespace autoglm::kernels
