#ifndef AUTOGLM_TEST_NATIVE_SIMT_FIBER_H_
#define AUTOGLM_TEST_NATIVE_SIMT_FIBER_H_

#include <cstddef>
#include <cstdint>

namespace autoglm::simt {

// A stack of its own on which a function runs, on the thread of the system that switches to it. A
// switch costs a few nanoseconds, as it asks nothing of the system.
class Fiber {
 public:
  // Bytes of a stack, a page that may not be touched included.
  static constexpr size_t kStackBytes = size_t{64} << 10;

  // The most stacks that are mapped at once: as many as a block has threads.
  static constexpr int kMaxStacks = 1024;
  // Maps stacks. Each may have a page below it that faults; a process can only have some ten thousand.
  static char* MapStacks(int count, bool has_guards);

  // `stack` is the lowest address of kStackBytes bytes. `color` moves the top, so that the stacks of
  // many fibers do not compete for the same lines of the cache.
  Fiber(char* stack, int color) : stack_(stack), color_(color) {}

  // Makes the fiber begin at `entry`, which must never return, when it is next switched to.
  void Begin(void (*entry)());

  // Stops this fiber, or the system's own stack if it is `from`, and continues `to`.
  static void Switch(Fiber& from, Fiber& to);

  // Returns whether the address lies on this stack.
  bool Owns(uintptr_t address) const {
    return address - reinterpret_cast<uintptr_t>(stack_) < kStackBytes;
  }

 private:
  char* stack_;
  int color_;
  void* stack_pointer_ = nullptr;
};

}  // namespace autoglm::simt

#endif  // AUTOGLM_TEST_NATIVE_SIMT_FIBER_H_
