#include "device/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <string>
#include <utility>

namespace autoglm {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

void Unmap(void* data, size_t bytes, void*) { munmap(data, bytes); }

constexpr uintptr_t kPageBytes = 4096;

}  // namespace

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      free_(std::exchange(other.free_, nullptr)),
      owner_(std::exchange(other.owner_, nullptr)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(free_, other.free_);
  std::swap(owner_, other.owner_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) free_(data_, bytes_, owner_);
}

Result<DeviceBuffer> AllocateHostMemory(size_t bytes) {
  if (bytes == 0) return DeviceBuffer();
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return OutOfMemory("cannot allocate " + std::to_string(bytes) + " bytes of host memory");
  }
  // The advice may be refused: without huge pages everything works, with more misses in the page
  // tables.
  if (bytes >= kHugePageBytes) madvise(data, bytes, MADV_HUGEPAGE);
  return DeviceBuffer(data, bytes, Unmap);
}

void DropFilePages(const void* data, size_t bytes) {
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPageBytes - 1) & ~(kPageBytes - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) & ~(kPageBytes - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void ReadFilePagesAhead(const void* data, size_t bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data) & ~(kPageBytes - 1);
  const size_t to_begin = reinterpret_cast<uintptr_t>(data) - begin;
  madvise(reinterpret_cast<void*>(begin), bytes + to_begin, MADV_WILLNEED);
}

}  // namespace autoglm
