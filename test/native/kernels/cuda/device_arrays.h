#ifndef AUTOGLM_TEST_NATIVE_DEVICE_ARRAYS_H_
#define AUTOGLM_TEST_NATIVE_DEVICE_ARRAYS_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "base/tensor_view.h"
#include "doctest/doctest.h"
#include "kernels/cuda/runtime.h"

namespace autoglm::cuda {

// Values in the memory of a device.
template <typename T>
class DeviceArray {
 public:
  // Values that nobody wrote.
  DeviceArray(Stream& stream, size_t count) : stream_(stream), count_(count) {
    Result<DeviceBuffer> memory = stream.Allocate(count * sizeof(T));
    REQUIRE(memory.ok());
    memory_ = std::move(memory.value());
  }
  DeviceArray(Stream& stream, const std::vector<T>& values) : DeviceArray(stream, values.size()) {
    stream.CopyIn(memory_.data(), values.data(), count_ * sizeof(T));
  }

  T* data() const { return memory_.as<T>(); }
  std::vector<T> Read() const {
    std::vector<T> values(count_);
    stream_.CopyOut(values.data(), memory_.data(), count_ * sizeof(T));
    return values;
  }

 private:
  Stream& stream_;
  size_t count_;
  DeviceBuffer memory_;
};

}  // namespace autoglm::cuda

#endif  // AUTOGLM_TEST_NATIVE_DEVICE_ARRAYS_H_
