#ifndef AUTOGLM_KERNELS_SIMD_ACTIVATION_H_
#define AUTOGLM_KERNELS_SIMD_ACTIVATION_H_

#include "kernels/kernels.h"
#include "kernels/simd/exponential.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

template <typename V>
typename V::Float Silu(typename V::Float x) {
  return V::Multiply(x, Sigmoid<V>(x));
}

// x times the probability that a standard normal number is below x: 1/2 + (1/2 - tail), or 1/2 - (1/2 - tail)
// of a negative x.
template <typename V>
typename V::Float GeluErf(typename V::Float x) {
  const typename V::Float half = V::Set(0.5f);
  const typename V::Float centre = V::Subtract(half, NormalTail<V>(V::Abs(x)));
  return V::Multiply(x, V::Add(half, V::CopySign(centre, x)));
}

template <typename V>
typename V::Float Relu(typename V::Float x) {
  return V::SelectGreater(x, V::Zero(), x, V::Zero());
}

template <typename V, typename V::Float (*kFunction)(typename V::Float)>
void Apply(const float* x, float* y, int64_t count) {
  ForEachVector<V>(count, [&](int64_t i, int64_t n) {
    V::StoreFirst(y + i, kFunction(V::LoadFirst(x + i, n)), n);
  });
}

template <typename V>
void SiluMul(const GatedArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* gate = args.x + row * args.x_stride;
    const float* up = gate + args.width;
    float* y = args.y + row * args.y_stride;
    ForEachVector<V>(args.width, [&](int64_t i, int64_t n) {
      V::StoreFirst(y + i, V::Multiply(Silu<V>(V::LoadFirst(gate + i, n)), V::LoadFirst(up + i, n)),
                    n);
    });
  }
}

template <typename V>
void Glu(const GatedArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* value = args.x + row * args.x_stride;
    const float* gate = value + args.width;
    float* y = args.y + row * args.y_stride;
    ForEachVector<V>(args.width, [&](int64_t i, int64_t n) {
      V::StoreFirst(
          y + i, V::Multiply(V::LoadFirst(value + i, n), Sigmoid<V>(V::LoadFirst(gate + i, n))), n);
    });
  }
}

template <typename V>
void AddScaled(const AddScaledArgs& args) {
  const typename V::Float scale = V::Set(args.scale);
  ForEachVector<V>(args.count, [&](int64_t i, int64_t n) {
    const typename V::Float y = V::LoadFirst(args.y + i, n);
    V::StoreFirst(args.y + i, V::MultiplyAdd(scale, V::LoadFirst(args.x + i, n), y), n);
  });
}

template <typename V>
ActivationKernels Activation(const char* isa) {
  return {.isa = isa,
          .silu = Apply<V, Silu<V>>,
          .gelu_erf = Apply<V, GeluErf<V>>,
          .relu = Apply<V, Relu<V>>,
          .sigmoid = Apply<V, Sigmoid<V>>,
          .silu_mul = SiluMul<V>,
          .glu = Glu<V>,
          .add_scaled = AddScaled<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ACTIVATION_H_
