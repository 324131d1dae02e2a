#ifndef AUTOGLM_KERNELS_SIMD_NORM_H_
#define AUTOGLM_KERNELS_SIMD_NORM_H_

#include "kernels/kernels.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

template <typename V>
float SumOf(const float* x, int64_t count) {
  return V::Sum(Reduce<V>(
      count, V::Zero(),
      [&](typename V::Float sum, int64_t i, int64_t n) {
        return V::Add(sum, V::LoadFirst(x + i, n));
      },
      V::Add));
}

// Returns the sum of (x - mean)^2. Absent elements of a partial vector must not count as (0 -
// mean)^2.
template <typename V>
float SumOfSquares(const float* x, int64_t count, float mean) {
  const typename V::Float center = V::Set(mean);
  return V::Sum(Reduce<V>(
      count, V::Zero(),
      [&](typename V::Float sum, int64_t i, int64_t n) {
        const typename V::Float deviation = V::Subtract(V::LoadFirst(x + i, n), center);
        const typename V::Float present = V::KeepFirst(deviation, n, V::Zero());
        return V::MultiplyAdd(present, present, sum);
      },
      V::Add));
}

// Returns 1 / sqrt(sum / count + epsilon).
inline float InverseRoot(float sum, int64_t count, float epsilon) {
  const double mean = static_cast<double>(sum) / static_cast<double>(count);
  return static_cast<float>(1.0 / __builtin_sqrt(mean + epsilon));
}

// Computes weight * (x * scale).
template <typename V>
typename V::Float Scaled(const NormArgs& args, const float* x, int64_t i, int64_t n, float scale) {
  return V::Multiply(V::LoadFirst(args.weight + i, n),
                     V::Multiply(V::LoadFirst(x + i, n), V::Set(scale)));
}

template <typename V>
void RmsNorm(const NormArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    const float scale =
        InverseRoot(SumOfSquares<V>(x, args.num_columns, 0.0f), args.num_columns, args.epsilon);
    ForEachVector<V>(args.num_columns, [&](int64_t i, int64_t n) {
      V::StoreFirst(y + i, Scaled<V>(args, x, i, n, scale), n);
    });
  }
}

template <typename V>
void RmsNormResidual(const NormArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    const float scale =
        InverseRoot(SumOfSquares<V>(x, args.num_columns, 0.0f), args.num_columns, args.epsilon);
    ForEachVector<V>(args.num_columns, [&](int64_t i, int64_t n) {
      V::StoreFirst(y + i, V::Add(V::LoadFirst(y + i, n), Scaled<V>(args, x, i, n, scale)), n);
    });
  }
}

template <typename V>
void LayerNorm(const NormArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    const float mean = SumOf<V>(x, args.num_columns) / static_cast<float>(args.num_columns);
    const float scale =
        InverseRoot(SumOfSquares<V>(x, args.num_columns, mean), args.num_columns, args.epsilon);
    ForEachVector<V>(args.num_columns, [&](int64_t i, int64_t n) {
      const typename V::Float centered = V::Subtract(V::LoadFirst(x + i, n), V::Set(mean));
      const typename V::Float value =
          V::Multiply(V::LoadFirst(args.weight + i, n), V::Multiply(centered, V::Set(scale)));
      V::StoreFirst(
          y + i, args.bias == nullptr ? value : V::Add(value, V::LoadFirst(args.bias + i, n)), n);
    });
  }
}

template <typename V>
NormKernels Norm(const char* isa) {
  return {.isa = isa,
          .rms_norm = RmsNorm<V>,
          .rms_norm_residual = RmsNormResidual<V>,
          .layer_norm = LayerNorm<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_NORM_H_
