#ifndef AUTOGLM_DEVICE_SPIN_WAIT_H_
#define AUTOGLM_DEVICE_SPIN_WAIT_H_

#include <atomic>
#include <chrono>
#include <cstdint>

namespace autoglm {

// Time for which a thread looks for work before it sleeps: longer than the gap between two
// operations of a step, and too short to keep a core visibly busy.
inline constexpr std::chrono::microseconds kSpinTime(30);

// Waits until `value` differs from `old`: first looking for `spin_time`, then asleep. Whoever changes
// the value calls notify_all.
void WaitWhileEqual(const std::atomic<uint32_t>& value, uint32_t old,
                    std::chrono::microseconds spin_time);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_SPIN_WAIT_H_
