#ifndef AUTOGLM_TEST_NATIVE_SIMT_TURN_H_
#define AUTOGLM_TEST_NATIVE_SIMT_TURN_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace autoglm::simt {

// Held by whoever uses the emulator: streams of several threads take turns.
class Turn {
 public:
  Turn() : lock_(InUse()) {}

  // Gives the turn to others for a while, or until one of them has ended. No other turn of this thread
  // may be open.
  void Yield() { Ended().wait_for(lock_, std::chrono::milliseconds(1)); }
  // Gives the turn to others until one of them says that something has ended.
  void Wait() { Ended().wait(lock_); }
  static void SayEnded() { Ended().notify_all(); }

 private:
  static std::mutex& InUse() {
    static std::mutex in_use;
    return in_use;
  }
  static std::condition_variable& Ended() {
    static std::condition_variable ended;
    return ended;
  }

  std::unique_lock<std::mutex> lock_;
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_TURN_H_
