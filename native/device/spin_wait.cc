#include "device/spin_wait.h"

namespace autoglm {
namespace {

constexpr int kChecksPerClockRead = 64;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace

void WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old,
                    std::chrono::microseconds spin_time) {
  const auto limit = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < kChecksPerClockRead; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < limit);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace autoglm
