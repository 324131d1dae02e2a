#include <cmath>

#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

// Returns 1 / sqrt(mean(x^2) + epsilon). The sum is kept in double: the faster levels sum in
// several lanes and are measured against this one.
float InverseRms(const float* x, int64_t count, float epsilon) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i]) * x[i];
  return static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(count) + epsilon));
}

void RmsNorm(const NormArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    const float scale = InverseRms(x, args.num_columns, args.epsilon);
    for (int64_t i = 0; i < args.num_columns; ++i) y[i] = args.weight[i] * (x[i] * scale);
  }
}

void RmsNormResidual(const NormArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    const float scale = InverseRms(x, args.num_columns, args.epsilon);
    for (int64_t i = 0; i < args.num_columns; ++i) y[i] += args.weight[i] * (x[i] * scale);
  }
}

void LayerNorm(const NormArgs& args) {
  const double count = static_cast<double>(args.num_columns);
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* x = args.x + row * args.x_stride;
    float* y = args.y + row * args.y_stride;
    double sum = 0.0;
    for (int64_t i = 0; i < args.num_columns; ++i) sum += x[i];
    const double mean = sum / count;
    double squares = 0.0;
    for (int64_t i = 0; i < args.num_columns; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const float scale = static_cast<float>(1.0 / std::sqrt(squares / count + args.epsilon));
    for (int64_t i = 0; i < args.num_columns; ++i) {
      const float value = args.weight[i] * (static_cast<float>(x[i] - mean) * scale);
      y[i] = args.bias == nullptr ? value : value + args.bias[i];
    }
  }
}

}  // namespace

NormKernels Norm() {
  return {.isa = "reference",
          .rms_norm = RmsNorm,
          .rms_norm_residual = RmsNormResidual,
          .layer_norm = LayerNorm};
}

}  // namespace autoglm::kernels::reference
