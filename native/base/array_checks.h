#ifndef AUTOGLM_BASE_ARRAY_CHECKS_H_
#define AUTOGLM_BASE_ARRAY_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace autoglm {

// Refuses an array from outside that has another length than expected. `name` names the array in
// the refusal, such as "step plan: positions".
Status CheckLength(const char* name, size_t found, int64_t expected);
Status RefuseElement(const char* name, size_t index, const std::string& problem);

// Returns true if so many bytes from `offset` are a part of the first `total` ones.
inline bool IsInside(size_t offset, size_t bytes, size_t total) {
  return offset <= total && bytes <= total - offset;
}

// Refuses an array with a value outside 0..limit - 1.
template <typename T>
Status CheckRange(const char* name, const std::vector<T>& values, int64_t limit) {
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t value = static_cast<int64_t>(values[i]);
    if (value >= 0 && value < limit) continue;
    return RefuseElement(
        name, i, std::to_string(value) + ", expected 0.." + std::to_string(limit - 1));
  }
  return Status();
}

}  // namespace autoglm

#endif  // AUTOGLM_BASE_ARRAY_CHECKS_H_
