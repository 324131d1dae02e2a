#ifndef AUTOGLM_TEST_NATIVE_DEVICE_TWIN_H_
#define AUTOGLM_TEST_NATIVE_DEVICE_TWIN_H_

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/kernel_levels.h"

namespace autoglm::cuda {

// An emulated GPU beside the reference kernels of a CPU.
struct Devices {
  Device gpu;
  Device cpu;

  Devices() {
    Result<Device> opened = OpenCuda(DeviceId());
    REQUIRE(opened.ok());
    gpu = std::move(opened.value());
    Result<Device> reference = cpu::OpenCpu(kernels::ReferenceKernels(), {});
    REQUIRE(reference.ok());
    cpu = std::move(reference.value());
  }
};

// Memory with equal bytes on both devices.
class Twin {
 public:
  template <typename T>
  Twin(const Devices& devices, const std::vector<T>& values)
      : devices_(devices), host_(values.size() * sizeof(T)) {
    std::memcpy(host_.data(), values.data(), host_.size());
    Result<DeviceBuffer> memory = devices.gpu.ops->allocate(*devices.gpu.context, host_.size());
    REQUIRE(memory.ok());
    memory_ = std::move(memory.value());
    devices.gpu.ops->copy_in(*devices.gpu.context, {host_.data(), host_.size(), memory_.data()});
  }

  // Returns the memory on the device that is meant.
  template <typename T = float>
  T* On(const Device& device) {
    return &device == &devices_.gpu ? memory_.as<T>() : reinterpret_cast<T*>(host_.data());
  }
  std::vector<float> CpuFloats() {
    const float* values = reinterpret_cast<const float*>(host_.data());
    return std::vector<float>(values, values + host_.size() / sizeof(float));
  }
  std::vector<float> GpuFloats() {
    const int64_t count = static_cast<int64_t>(host_.size() / sizeof(float));
    const float* values = devices_.gpu.ops->host_rows(
        *devices_.gpu.context, DenseMatrix(memory_.as<float>(), 1, count));
    return std::vector<float>(values, values + count);
  }

 private:
  const Devices& devices_;
  std::vector<char> host_;
  DeviceBuffer memory_;
};

// Runs an operation on both devices.
template <typename Run>
void OnBoth(const Devices& devices, const Run& run) {
  for (const Device* device : {&devices.gpu, &devices.cpu}) run(*device);
}

// Compares all values, those beside what was to be written included.
inline void CheckClose(Twin& twin, double tolerance) {
  const std::vector<float> actual = twin.GpuFloats();
  const std::vector<float> expected = twin.CpuFloats();
  REQUIRE_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    REQUIRE(actual[i] == doctest::Approx(expected[i]).epsilon(tolerance));
  }
}

}  // namespace autoglm::cuda

#endif  // AUTOGLM_TEST_NATIVE_DEVICE_TWIN_H_
