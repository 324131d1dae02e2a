#ifndef AUTOGLM_DEVICE_MEMORY_H_
#define AUTOGLM_DEVICE_MEMORY_H_

#include <cstddef>

#include "base/status.h"

namespace autoglm {

// Owns memory of a device; how it is freed depends on the device that gave it.
class DeviceBuffer {
 public:
  using Free = void (*)(void* data, size_t bytes);

  DeviceBuffer() = default;
  DeviceBuffer(void* data, size_t bytes, Free free) : data_(data), bytes_(bytes), free_(free) {}
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
};

// Zeroed host memory, aligned to pages, with huge pages advised where it is large. Pages come into
// being when first written, near the core that writes them.
Result<DeviceBuffer> AllocateHostMemory(size_t bytes);

}  // namespace autoglm

#endif  // AUTOGLM_DEVICE_MEMORY_H_
