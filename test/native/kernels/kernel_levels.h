#ifndef AUTOGLM_TEST_NATIVE_KERNEL_LEVELS_H_
#define AUTOGLM_TEST_NATIVE_KERNEL_LEVELS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "doctest/doctest.h"
#include "kernels/kernels.h"
#include "tested_levels.h"

namespace autoglm::kernels {

// Runs `check(kernels)` once for each level that is compiled in and that this machine has, with the
// level's name in every failure message; says which levels are skipped.
inline void ForEachLevel(const std::function<void(const CpuKernels&)>& check) {
  for (const TestedLevel& level : TestedLevels()) {
    CAPTURE(level.name);
    if (level.kernels.has_value()) {
      check(*level.kernels);
    } else {
      MESSAGE("skipped: this build or this processor has no " << level.name);
    }
  }
}

// Returns the reference kernels, with which the other levels are compared.
const CpuKernels& ReferenceKernels();

// Returns 0, 1, w - 1, w, w + 1 and 3w + 5 for the vector widths w of all levels.
std::vector<int64_t> OddLengths();

// Returns values between -scale and scale that depend on the seed alone.
std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale);

// Buffer of `count` values at an address that is `misalignment` values past a cache line. Guards on
// both sides tell whether a kernel wrote outside.
template <typename T>
class GuardedArray {
 public:
  GuardedArray(int64_t count, int misalignment)
      : storage_(static_cast<size_t>(count) + 2 * kGuard + 64 / sizeof(T) + kGuard, T{kMark}) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data() + kGuard);
    const size_t to_line = (64 - address % 64) % 64 / sizeof(T);
    begin_ = kGuard + to_line + static_cast<size_t>(misalignment);
    count_ = static_cast<size_t>(count);
  }
  GuardedArray(const std::vector<T>& values, int misalignment)
      : GuardedArray(static_cast<int64_t>(values.size()), misalignment) {
    for (size_t i = 0; i < values.size(); ++i) data()[i] = values[i];
  }

  T* data() { return storage_.data() + begin_; }
  const T* data() const { return storage_.data() + begin_; }
  std::vector<T> values() const { return std::vector<T>(data(), data() + count_); }

  bool IsGuardIntact() const {
    for (size_t i = 0; i < storage_.size(); ++i) {
      const bool is_inside = i >= begin_ && i < begin_ + count_;
      if (!is_inside && storage_[i] != T{kMark}) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr int kMark = 77;
  std::vector<T> storage_;
  size_t begin_ = 0;
  size_t count_ = 0;
};

}  // namespace autoglm::kernels

#endif  // AUTOGLM_TEST_NATIVE_KERNEL_LEVELS_H_
