#include <cmath>
#include <limits>

#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

int64_t Argmax(const float* x, int64_t count) {
  int64_t best = -1;
  float max = kNegativeInfinity;
  for (int64_t i = 0; i < count; ++i) {
    if (x[i] > max) {
      max = x[i];
      best = i;
    }
  }
  return best;
}

float Max(const float* x, int64_t count) {
  float max = kNegativeInfinity;
  for (int64_t i = 0; i < count; ++i) max = x[i] > max ? x[i] : max;
  return max;
}

float LogSumExp(const float* x, int64_t count) {
  const float max = Max(x, count);
  if (max == kNegativeInfinity) return kNegativeInfinity;
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(x[i] - max);
  return max + static_cast<float>(std::log(sum));
}

int64_t CountGreater(const float* x, int64_t count, float threshold) {
  int64_t greater = 0;
  for (int64_t i = 0; i < count; ++i) greater += x[i] > threshold ? 1 : 0;
  return greater;
}

double Weigh(float* x, int64_t count, const WeightParams& params) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const float exponent = (x[i] - params.max_logit) * params.inverse_temperature;
    x[i] = std::isnan(exponent) ? 0.0f : std::exp(exponent);
    sum += x[i];
  }
  return sum;
}

}  // namespace

LogitKernels Logits() {
  return {.isa = "reference",
          .argmax = Argmax,
          .log_sum_exp = LogSumExp,
          .count_greater = CountGreater,
          .weigh = Weigh};
}

}  // namespace autoglm::kernels::reference
