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

// Returns the sum of `count` terms, of which exponentials(i, n) returns those from i on, n of them. A
// vocabulary has too many terms for a float32 sum, so partial sums are added in float64.
template <typename V, typename Exponentials>
double SumOfExponentials(int64_t count, const Exponentials& exponentials) {
  constexpr int64_t kStretch = 1024;
  double total = 0.0;
  for (int64_t begin = 0; begin < count; begin += kStretch) {
    const int64_t length = count - begin < kStretch ? count - begin : kStretch;
    total += V::Sum(Reduce<V>(
        length, V::Zero(),
        [&](typename V::Float sum, int64_t i, int64_t n) {
          return V::Add(sum, V::KeepFirst(exponentials(begin + i, n), n, V::Zero()));
        },
        V::Add));
  }
  return total;
}

template <typename V>
float LogSumExp(const float* x, int64_t count) {
  const float max = LargestOf<V>(x, count);
  if (max == -__builtin_inff()) return max;
  const typename V::Float shift = V::Set(max);
  const double sum = SumOfExponentials<V>(count, [&](int64_t i, int64_t n) {
    return Exponential<V>(V::Subtract(V::LoadFirst(x + i, n), shift));
  });
  return max + static_cast<float>(__builtin_log(sum));
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
double Weigh(float* x, int64_t count, const WeightParams& params) {
  const typename V::Float shift = V::Set(params.max_logit);
  const typename V::Float scale = V::Set(params.inverse_temperature);
  const typename V::Float lowest = V::Set(-__builtin_inff());
  return SumOfExponentials<V>(count, [&](int64_t i, int64_t n) {
    const typename V::Float exponent =
        V::Multiply(V::Subtract(V::LoadFirst(x + i, n), shift), scale);
    // The second of two values is the larger one if the first is NaN.
    const typename V::Float weight = Exponential<V>(V::Max(exponent, lowest));
    V::StoreFirst(x + i, weight, n);
    return weight;
  });
}

template <typename V>
LogitKernels Logits(const char* isa) {
  return {.isa = isa,
          .argmax = Argmax<V>,
          .log_sum_exp = LogSumExp<V>,
          .count_greater = CountGreater<V>,
          .weigh = Weigh<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_LOGITS_H_
