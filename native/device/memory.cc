#include "device/memory.h"

#include <sys/mman.h>

#include <string>
#include <utility>

namespace autoglm {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

void Unmap(void* data, size_t bytes) { munmap(data, bytes); }

}  // namespace

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      free_(std::exchange(other.free_, nullptr)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(free_, other.free_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) free_(data_, bytes_);
}

Result<DeviceBuffer> AllocateHostMemory(size_t bytes) {
  if (bytes == 0) return DeviceBuffer();
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return EngineFailed("cannot allocate " + std::to_string(bytes) + " bytes of host memory");
  }
  // The advice may be refused: without huge pages everything works, with more misses in the page
  // tables.
  if (bytes >= kHugePageBytes) madvise(data, bytes, MADV_HUGEPAGE);
  return DeviceBuffer(data, bytes, Unmap);
}

}  // namespace autoglm
