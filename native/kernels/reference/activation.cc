#include <cmath>

#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

float SigmoidOf(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void Silu(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * SigmoidOf(x[i]);
}

void GeluErf(const float* x, float* y, int64_t count) {
  constexpr float kInverseSqrt2 = 0.70710678118654752f;
  for (int64_t i = 0; i < count; ++i) y[i] = 0.5f * x[i] * (1.0f + std::erf(x[i] * kInverseSqrt2));
}

void Relu(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

void Sigmoid(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = SigmoidOf(x[i]);
}

void SiluMul(const GatedArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* gate = args.x + row * args.x_stride;
    const float* up = gate + args.width;
    float* y = args.y + row * args.y_stride;
    for (int64_t i = 0; i < args.width; ++i) y[i] = gate[i] * SigmoidOf(gate[i]) * up[i];
  }
}

void Glu(const GatedArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* value = args.x + row * args.x_stride;
    const float* gate = value + args.width;
    float* y = args.y + row * args.y_stride;
    for (int64_t i = 0; i < args.width; ++i) y[i] = value[i] * SigmoidOf(gate[i]);
  }
}

void AddScaled(const AddScaledArgs& args) {
  for (int64_t i = 0; i < args.count; ++i) args.y[i] += args.scale * args.x[i];
}

}  // namespace

ActivationKernels Activation() {
  return {.isa = "reference",
          .silu = Silu,
          .gelu_erf = GeluErf,
          .relu = Relu,
          .sigmoid = Sigmoid,
          .silu_mul = SiluMul,
          .glu = Glu,
          .add_scaled = AddScaled};
}

}  // namespace autoglm::kernels::reference
