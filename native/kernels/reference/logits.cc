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

void Softmax(float* x, int64_t count) {
  const float max = Max(x, count);
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    x[i] = std::exp(x[i] - max);
    sum += x[i];
  }
  const float scale = static_cast<float>(1.0 / sum);
  for (int64_t i = 0; i < count; ++i) x[i] *= scale;
}

}  // namespace

LogitKernels Logits() {
  return {.isa = "reference",
          .argmax = Argmax,
          .log_sum_exp = LogSumExp,
          .count_greater = CountGreater,
          .softmax = Softmax};
}

}  // namespace autoglm::kernels::reference
