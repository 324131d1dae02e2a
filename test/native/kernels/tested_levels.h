#ifndef AUTOGLM_TEST_NATIVE_TESTED_LEVELS_H_
#define AUTOGLM_TEST_NATIVE_TESTED_LEVELS_H_

#include <optional>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace autoglm::kernels {

struct TestedLevel {
  std::string name;
  std::optional<CpuKernels> kernels;  // none: this build or this processor does not have it
};

std::vector<TestedLevel> TestedLevels();

}  // namespace autoglm::kernels

#endif  // AUTOGLM_TEST_NATIVE_TESTED_LEVELS_H_
