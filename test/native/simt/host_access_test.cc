#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "kernels/cuda/runtime.h"
#include "doctest/doctest.h"

namespace autoglm::cuda {
namespace {

// Returns the signal that ends a process which reads *p, or 0.
int SignalOfReading(const volatile char* p) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    _exit(*p == 1 ? 1 : 0);
  }
  int status = 0;
  REQUIRE_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_CASE("Host code that touches memory of a device faults, as with a GPU") {
  Result<std::unique_ptr<Stream>> stream = Stream::Open(0);
  REQUIRE(stream.ok());
  Result<DeviceBuffer> memory = stream.value()->Allocate(64);
  REQUIRE(memory.ok());
  stream.value()->Clear(memory.value().data(), 64);
  const char own = 0;

  CHECK_EQ(SignalOfReading(memory.value().as<char>()), SIGSEGV);
  CHECK_EQ(SignalOfReading(&own), 0);
}

}  // namespace
}  // namespace autoglm::cuda
