#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace autoglm {

void FailCheck(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace autoglm
