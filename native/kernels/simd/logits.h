#ifndef AUTOGLM_KERNELS_SIMD_LOGITS_H_
#define AUTOGLM_KERNELS_SIMD_LOGITS_H_

#include "kernels/kernels.h"
#include "kernels/simd/exponential.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Returns the largest value, or minus infinity if there is none. NaN is passed over.
template <typename V>
float LargestOf(const float* x, int64_t count) {
  const typename V::Float lowest = V::Set(-__builtin_inff());
  return V::Largest(Reduce<V>(
      count, lowest,
      [&](typename V::Float max, int64_t i, int64_t n) {
        return V::Max(V::KeepFirst(V::LoadFirst(x + i, n), n, lowest), max);
      },
      V::Max));
}

template <typename V>
int64_t Argmax(const float* x, int64_t count) {
  const float max = LargestOf<V>(x, count);
  if (max == -__builtin_inff()) return -1;
  const typename V::Float wanted = V::Set(max);
  for (int64_t i = 0; i < count; i += V::kWidth) {
    const int64_t n = count - i < V::kWidth ? count - i : int64_t{V::kWidth};
    // Lanes beyond the row read as zero. They may equal the maximum, but come after its own lane.
    const uint32_t equal = V::EqualBits(V::LoadFirst(x + i, n), wanted);
    if (equal != 0) return i + __builtin_ctz(equal);
  }
  return -1;
}

// Returns the sum of e^(x - max); stores each term to y if y is not null. A vocabulary has too many
// terms for a float32 sum, so partial sums are added in float64.
template <typename V>
double SumOfExponentials(const float* x, int64_t count, float max, float* y) {
  constexpr int64_t kStretch = 1024;
  const typename V::Float shift = V::Set(max);
  double total = 0.0;
  for (int64_t begin = 0; begin < count; begin += kStretch) {
    const int64_t length = count - begin < kStretch ? count - begin : kStretch;
    total += V::Sum(Reduce<V>(
        length, V::Zero(),
        [&](typename V::Float sum, int64_t i, int64_t n) {
          const typename V::Float value = V::LoadFirst(x + begin + i, n);
          const typename V::Float e = Exponential<V>(V::Subtract(value, shift));
          if (y != nullptr) V::StoreFirst(y + begin + i, e, n);
          return V::Add(sum, V::KeepFirst(e, n, V::Zero()));
        },
        V::Add));
  }
  return total;
}

template <typename V>
float LogSumExp(const float* x, int64_t count) {
  const float max = LargestOf<V>(x, count);
  if (max == -__builtin_inff()) return max;
  return max + static_cast<float>(__builtin_log(SumOfExponentials<V>(x, count, max, nullptr)));
}

template <typename V>
int64_t CountGreater(const float* x, int64_t count, float threshold) {
  const typename V::Float limit = V::Set(threshold);
  int64_t greater = 0;
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    const typename V::Float values = V::KeepFirst(V::LoadFirst(x + i, n), n, limit);
    greater += __builtin_popcount(V::GreaterBits(values, limit));
  });
  return greater;
}

template <typename V>
void Softmax(float* x, int64_t count) {
  const double sum = SumOfExponentials<V>(x, count, LargestOf<V>(x, count), x);
  const typename V::Float scale = V::Set(static_cast<float>(1.0 / sum));
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    V::StoreFirst(x + i, V::Multiply(V::LoadFirst(x + i, n), scale), n);
  });
}

template <typename V>
LogitKernels Logits(const char* isa) {
  return {.isa = isa,
          .argmax = Argmax<V>,
          .log_sum_exp = LogSumExp<V>,
          .count_greater = CountGreater<V>,
          .softmax = Softmax<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_LOGITS_H_
