// The functions that the compiler's instrumentation calls before each access of a kernel. They are
// the emulator's own: no sanitizer's library is linked. Code that runs outside of a kernel calls
// them too, and nothing comes of it.

#include <cstddef>
#include <cstdint>
#include <string>

#include "simt/block.h"

namespace {

using autoglm::simt::AccessKind;
using autoglm::simt::Block;

inline void Note(void* p, size_t bytes, AccessKind kind, const void* code) {
  Block* const block = Block::Running();
  if (block != nullptr) block->Note(p, bytes, kind, code);
}

// What -fsanitize=alignment knows of a place: GCC's and Clang's TypeMismatchData.
struct TypeMismatch {
  const char* file;
  uint32_t line;
  uint32_t column;
  const void* type;
  unsigned char log_alignment;
  unsigned char kind;
};

}  // namespace

#define SIMT_CODE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define SIMT_DEFINE_HOOKS(bytes)                                                      \
  void __tsan_read##bytes(void* p) { Note(p, bytes, AccessKind::kRead, SIMT_CODE); }  \
  void __tsan_write##bytes(void* p) { Note(p, bytes, AccessKind::kWrite, SIMT_CODE); }
#define SIMT_DEFINE_UNALIGNED_HOOKS(bytes)                                                      \
  void __tsan_unaligned_read##bytes(void* p) { Note(p, bytes, AccessKind::kRead, SIMT_CODE); }  \
  void __tsan_unaligned_write##bytes(void* p) { Note(p, bytes, AccessKind::kWrite, SIMT_CODE); }

SIMT_DEFINE_HOOKS(1)
SIMT_DEFINE_HOOKS(2)
SIMT_DEFINE_HOOKS(4)
SIMT_DEFINE_HOOKS(8)
SIMT_DEFINE_HOOKS(16)
SIMT_DEFINE_UNALIGNED_HOOKS(2)
SIMT_DEFINE_UNALIGNED_HOOKS(4)
SIMT_DEFINE_UNALIGNED_HOOKS(8)
SIMT_DEFINE_UNALIGNED_HOOKS(16)

void __tsan_read_range(void* p, size_t bytes) { Note(p, bytes, AccessKind::kRead, SIMT_CODE); }
void __tsan_write_range(void* p, size_t bytes) { Note(p, bytes, AccessKind::kWrite, SIMT_CODE); }
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}

void __ubsan_handle_type_mismatch_v1(TypeMismatch* place, uintptr_t pointer) {
  Block* const block = Block::Running();
  if (block == nullptr) return;
  block->ReportMisaligned(reinterpret_cast<void*>(pointer),
                          "an access that needs a multiple of " +
                              std::to_string(1 << place->log_alignment) + " at " + place->file +
                              ":" + std::to_string(place->line),
                          SIMT_CODE);
}

}  // extern "C"
