#include "base/array_checks.h"

namespace autoglm {

Status CheckLength(const char* name, size_t found, int64_t expected) {
  if (static_cast<int64_t>(found) == expected) return Status();
  return InvalidRequest(std::string(name) + " has " + std::to_string(found) +
                        " entries, expected " + std::to_string(expected));
}

Status RefuseElement(const char* name, size_t index, const std::string& problem) {
  return InvalidRequest(std::string(name) + "[" + std::to_string(index) + "] is " + problem);
}

}  // namespace autoglm
