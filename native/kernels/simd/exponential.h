#ifndef AUTOGLM_KERNELS_SIMD_EXPONENTIAL_H_
#define AUTOGLM_KERNELS_SIMD_EXPONENTIAL_H_

namespace autoglm::kernels {
namespace {

// Returns e^x within one unit in the last place, subnormal results included: x = n * ln(2) + r, a
// polynomial for e^r (Cephes, expf) and a scaling by 2^n. NaN stays NaN.
template <typename V>
typename V::Float Exponential(typename V::Float x) {
  using Float = typename V::Float;
  // Beyond these bounds the result is infinite or zero.
  x = V::Min(V::Set(90.0f), V::Max(V::Set(-105.0f), x));
  const Float n = V::Round(V::Multiply(x, V::Set(1.44269504088896341f)));
  // ln(2) in two parts; the first has few enough bits for n * part to be exact.
  Float r = V::NegativeMultiplyAdd(n, V::Set(0.693359375f), x);
  r = V::NegativeMultiplyAdd(n, V::Set(-2.12194440e-4f), r);
  Float p = V::Set(1.9875691500e-4f);
  p = V::MultiplyAdd(p, r, V::Set(1.3981999507e-3f));
  p = V::MultiplyAdd(p, r, V::Set(8.3334519073e-3f));
  p = V::MultiplyAdd(p, r, V::Set(4.1665795894e-2f));
  p = V::MultiplyAdd(p, r, V::Set(1.6666665459e-1f));
  p = V::MultiplyAdd(p, r, V::Set(5.0000001201e-1f));
  p = V::MultiplyAdd(V::Multiply(r, r), p, r);
  return V::ScaleByPowerOfTwo(V::Add(p, V::Set(1.0f)), n);
}

// Degrees of the polynomial of PowerOfTwo: relative errors of at most 1e-7 and 1.1e-4, of which the
// latter is a twentieth of what rounding to eight bits may add.
constexpr int kExactPower = 6;
constexpr int kRoughPower = 3;

// Returns 2^x for x < 127: 2^n * 2^r with |r| <= 1/2 and a polynomial of least relative error that is 1 at
// 0. Below 2^-125, which no sum with a 1 in it notices, the result is about 2^-125: processors
// are slow at subnormal numbers. NaN stays NaN.
template <typename V, int kDegree>
typename V::Float PowerOfTwo(typename V::Float x) {
  using Float = typename V::Float;
  x = V::Max(V::Set(-125.0f), x);  // NaN where x is
  const Float n = V::Round(x);
  const Float r = V::Subtract(x, n);
  Float p;
  if constexpr (kDegree == kExactPower) {
    p = V::Set(1.535336188e-4f);
    p = V::MultiplyAdd(p, r, V::Set(1.339887440e-3f));
    p = V::MultiplyAdd(p, r, V::Set(9.618437357e-3f));
    p = V::MultiplyAdd(p, r, V::Set(5.550332471e-2f));
    p = V::MultiplyAdd(p, r, V::Set(2.402264791e-1f));
    p = V::MultiplyAdd(p, r, V::Set(6.931472028e-1f));
  } else {
    static_assert(kDegree == kRoughPower);
    p = V::Set(5.50086058e-2f);
    p = V::MultiplyAdd(p, r, V::Set(2.42211008e-1f));
    p = V::MultiplyAdd(p, r, V::Set(6.93282967e-1f));
  }
  p = V::MultiplyAdd(p, r, V::Set(1.0f));
  return V::ScaleByPowerOfTwo(p, n);
}

template <typename V>
typename V::Float Sigmoid(typename V::Float x) {
  const typename V::Float one = V::Set(1.0f);
  return V::Divide(one, V::Add(one, Exponential<V>(V::Subtract(V::Zero(), x))));
}

// Returns the probability that a standard normal number exceeds z >= 0, wrong by at most a tenth of 1e-7 / z +
// 2e-7: two to a polynomial of log2 of it. Beyond 5.7 the result stays at 6e-9, which a sum with 1/2 does not
// notice. NaN stays NaN.
template <typename V>
typename V::Float NormalTail(typename V::Float z) {
  using Float = typename V::Float;
  z = V::Min(V::Set(5.7f), z);  // NaN where z is
  Float p = V::Set(5.5845585e-6f);
  p = V::MultiplyAdd(p, z, V::Set(-2.5100346e-5f));
  p = V::MultiplyAdd(p, z, V::Set(-5.3250045e-4f));
  p = V::MultiplyAdd(p, z, V::Set(7.6009636e-3f));
  p = V::MultiplyAdd(p, z, V::Set(-5.2899946e-2f));
  p = V::MultiplyAdd(p, z, V::Set(-4.5905027e-1f));
  p = V::MultiplyAdd(p, z, V::Set(-1.1511331f));
  p = V::MultiplyAdd(p, z, V::Set(-9.9999845e-1f));
  return PowerOfTwo<V, kExactPower>(p);
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_EXPONENTIAL_H_
