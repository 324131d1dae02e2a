#ifndef AUTOGLM_KERNELS_SIMD_CONVERT_H_
#define AUTOGLM_KERNELS_SIMD_CONVERT_H_

#include "kernels/kernels.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

template <typename V>
void Float32ToBfloat16(const float* x, uint16_t* y, int64_t count) {
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    V::StoreBfloat16First(y + i, V::LoadFirst(x + i, n), n);
  });
}

template <typename V>
void RoundToBfloat16(const float* x, float* y, int64_t count) {
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    const typename V::Pairs rounded = V::RoundToBfloat16(V::LoadFirst(x + i, n));
    V::StoreFirst(y + i, V::LowHalves(rounded), n);
  });
}

template <typename V>
void Float32ToFloat16(const float* x, uint16_t* y, int64_t count) {
  ForEachVector<V>(
      count, [&](int64_t i, int64_t n) { V::StoreFloat16First(y + i, V::LoadFirst(x + i, n), n); });
}

template <typename V>
void Bfloat16ToFloat32(const uint16_t* x, float* y, int64_t count) {
  ForEachVector<V>(count,
                   [&](int64_t i, int64_t n) { V::StoreFirst(y + i, V::LoadFirst(x + i, n), n); });
}

template <typename V>
void Float16ToFloat32(const uint16_t* x, float* y, int64_t count) {
  ForEachVector<V>(
      count, [&](int64_t i, int64_t n) { V::StoreFirst(y + i, V::LoadFloat16First(x + i, n), n); });
}

// Rounds a row to integers whose largest magnitude is kLargest and returns their scale.
// store(y, values, n) stores a vector of them.
template <typename V, int kLargest, typename T, typename Store>
float Float32ToIntegers(const float* x, T* y, int64_t count, const Store& store) {
  using Float = typename V::Float;
  constexpr float kMax = kLargest;
  const auto larger = [&](Float max, int64_t i, int64_t n) {
    return V::Max(V::Abs(V::LoadFirst(x + i, n)), max);
  };
  const float max = V::Largest(Reduce<V>(count, V::Zero(), larger, V::Max));
  // Zero for finite values, otherwise NaN.
  const auto add_zeros = [&](Float sum, int64_t i, int64_t n) {
    return V::MultiplyAdd(V::LoadFirst(x + i, n), V::Zero(), sum);
  };
  const float zero = V::Sum(Reduce<V>(count, V::Zero(), add_zeros, V::Add));
  const bool is_finite = zero == 0.0f;
  // Below this the quotient overflows, and no product differs from zero.
  constexpr float kSmallest = kLargest < 128 ? 0x1p-119f : 0x1p-111f;
  const Float inverse = V::Set(is_finite && max > kSmallest ? kMax / max : 0.0f);
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    const Float value = is_finite ? V::LoadFirst(x + i, n) : V::Zero();
    store(y + i, V::Round(V::Multiply(value, inverse)), n);
  });
  return max / kMax + zero;
}

template <typename V>
float Float32ToUint8(const float* x, uint8_t* y, int64_t count) {
  return Float32ToIntegers<V, 127>(x, y, count, [](uint8_t* p, typename V::Float a, int64_t n) {
    V::StoreUint8First(p, V::Add(a, V::Set(128.0f)), n);
  });
}

template <typename V>
float Float32ToInt16(const float* x, int16_t* y, int64_t count) {
  return Float32ToIntegers<V, 32767>(x, y, count, V::StoreInt16First);
}

template <typename V>
FloatRange Float32Range(const float* x, int64_t count) {
  using Float = typename V::Float;
  // Vectors of two partial results take turns; zeros[] stay zero unless a value is not finite.
  Float max[2] = {V::Zero(), V::Zero()};
  Float min[2] = {V::Zero(), V::Zero()};
  Float zeros[2] = {V::Zero(), V::Zero()};
  const auto add = [&](int64_t i, int64_t n, int part) {
    const Float values = V::LoadFirst(x + i, n);
    max[part] = V::Max(values, max[part]);
    min[part] = V::Min(values, min[part]);
    zeros[part] = V::MultiplyAdd(values, V::Zero(), zeros[part]);
  };
  int64_t i = 0;
  for (; i + 2 * V::kWidth <= count; i += 2 * V::kWidth) {
    add(i, V::kWidth, 0);
    add(i + V::kWidth, V::kWidth, 1);
  }
  for (; i < count; i += V::kWidth) add(i, count - i < V::kWidth ? count - i : V::kWidth, 0);
  const float zero = V::Sum(V::Add(zeros[0], zeros[1]));
  const Float least = V::Subtract(V::Zero(), V::Min(min[0], min[1]));
  return {zero - V::Largest(least), zero + V::Largest(V::Max(max[0], max[1]))};
}

template <typename V>
void Float32ToInt8(const RoundArgs& args) {
  const typename V::Float inverse = V::Set(args.inverse);
  const typename V::Float smallest = V::Set(args.smallest);
  const typename V::Float largest = V::Set(args.largest);
  ForEachVector<V>(args.count, [&](int64_t i, int64_t n) {
    const typename V::Float value = V::Round(V::Multiply(V::LoadFirst(args.x + i, n), inverse));
    V::StoreInt8First(args.y + i, V::Min(V::Max(value, smallest), largest), n);
  });
}

template <typename V>
ConvertKernels Convert(const char* isa) {
  return {.isa = isa,
          .float32_to_bfloat16 = Float32ToBfloat16<V>,
          .round_to_bfloat16 = RoundToBfloat16<V>,
          .float32_to_float16 = Float32ToFloat16<V>,
          .bfloat16_to_float32 = Bfloat16ToFloat32<V>,
          .float16_to_float32 = Float16ToFloat32<V>,
          .float32_to_uint8 = Float32ToUint8<V>,
          .float32_to_int16 = Float32ToInt16<V>,
          .float32_range = Float32Range<V>,
          .float32_to_int8 = Float32ToInt8<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_CONVERT_H_
