#include "simt/fiber.h"

#include <sys/mman.h>

#include "base/check.h"

// Saves what a call must preserve and the stack pointer in *from, and returns on the stack `to`.
extern "C" void autoglm_simt_switch(void** from, void* to);
asm(R"(
.text
.globl autoglm_simt_switch
.hidden autoglm_simt_switch
.type autoglm_simt_switch, @function
autoglm_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size autoglm_simt_switch, .-autoglm_simt_switch
)");

namespace autoglm::simt {
namespace {

constexpr size_t kNumSavedRegisters = 6;
constexpr size_t kColorBytes = 320;  // five lines of the cache
constexpr size_t kNumColors = 16;
constexpr size_t kGuardBytes = 4096;

}  // namespace

char* Fiber::MapStacks(int count, bool has_guards) {
  CHECK(count <= kMaxStacks);
  void* data = mmap(nullptr, static_cast<size_t>(count) * kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  CHECK(data != MAP_FAILED);
  char* const begin = static_cast<char*>(data);
  for (int i = 0; i < count && has_guards; ++i) {
    CHECK(mprotect(begin + static_cast<size_t>(i) * kStackBytes, kGuardBytes, PROT_NONE) == 0);
  }
  return begin;
}

void Fiber::Begin(void (*entry)()) {
  char* top = stack_ + kStackBytes - (static_cast<size_t>(color_) % kNumColors) * kColorBytes;
  // A function begins with its return address at 8 below a multiple of 16.
  void** frame = reinterpret_cast<void**>(top) - 1;
  *frame = nullptr;  // entry never returns
  *--frame = reinterpret_cast<void*>(entry);
  for (size_t i = 0; i < kNumSavedRegisters; ++i) *--frame = nullptr;
  stack_pointer_ = frame;
}

void Fiber::Switch(Fiber& from, Fiber& to) {
  autoglm_simt_switch(&from.stack_pointer_, to.stack_pointer_);
}

}  // namespace autoglm::simt
