#ifndef AUTOGLM_BASE_CHECK_H_
#define AUTOGLM_BASE_CHECK_H_

namespace autoglm {

// Prints the broken invariant with its place and ends the process: the supervisor restarts it.
[[noreturn]] void FailCheck(const char* condition, const char* file, int line);

}  // namespace autoglm

// Ends the process if the condition is false. It is for programming errors only: an expected
// refusal is a Status.
#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::autoglm::FailCheck(#condition, __FILE__, __LINE__))

#endif  // AUTOGLM_BASE_CHECK_H_
