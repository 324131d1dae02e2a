#ifndef AUTOGLM_DEVICE_MEMORY_H_
#define AUTOGLM_DEVICE_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace autoglm {

// Memory of a device with one owner. The device that gave the memory decides how it is freed.
class DeviceBuffer {
 public:
  // `owner`: who gave the memory, where that matters.
  using Free = void (*)(void* data, size_t bytes, void* owner);

  DeviceBuffer() = default;
  DeviceBuffer(void* data, size_t bytes, Free free) : data_(data), bytes_(bytes), free_(free) {}
  // The owner outlives the memory.
  DeviceBuffer(void* data, size_t bytes, Free free, void* owner)
      : data_(data), bytes_(bytes), free_(free), owner_(owner) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer();

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Free free_ = nullptr;
  void* owner_ = nullptr;
};

// Name by which another process of the machine opens memory of a device: the bytes of CUDA's
// cudaIpcMemHandle_t.
using MemoryHandle = std::array<uint8_t, 64>;

// Memory of a device that other processes may open.
struct SharedDeviceMemory {
  DeviceBuffer memory;
  MemoryHandle handle = {};
};

// Allocates zeroed host memory, aligned to pages; advises huge pages if it is large. The system
// creates a page when a core first writes it, near that core.
Result<DeviceBuffer> AllocateHostMemory(size_t bytes);

// Gives back the pages that lie wholly inside this part of a file mapped for reading; the system
// keeps them in its cache while it has no better use for them. The next access reads them again.
void DropFilePages(const void* data, size_t bytes);

// Asks the system to read this part of a mapped file to its cache, without waiting for it.
void ReadFilePagesAhead(const void* data, size_t bytes);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_MEMORY_H_
