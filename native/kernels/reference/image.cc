#include <algorithm>

#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

constexpr int64_t kChannels = 3;
constexpr int32_t kHalf = 1 << (kWeightFractionBits - 1);

int32_t WeightAt(const ResizeWeights& weights, int64_t i) {
  return weights.high[i] * (1 << kLowWeightBits) + weights.low[i];
}

uint8_t RoundToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightFractionBits, 0, 255));
}

void ResizeRows(const ResizeRowsArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const uint8_t* in = args.in + row * args.in_width * kChannels;
    uint8_t* out = args.out + row * args.out_width * kChannels;
    for (int64_t o = 0; o < args.out_width; ++o) {
      const uint8_t* pixel = in + args.first[o] * kChannels;
      int32_t sums[kChannels] = {kHalf, kHalf, kHalf};
      for (int64_t tap = 0; tap < args.taps[o]; ++tap, pixel += kChannels) {
        const int32_t weight = WeightAt(args.weights, o * args.weight_stride + tap);
        for (int64_t channel = 0; channel < kChannels; ++channel) {
          sums[channel] += pixel[channel] * weight;
        }
      }
      for (int64_t channel = 0; channel < kChannels; ++channel) {
        out[o * kChannels + channel] = RoundToByte(sums[channel]);
      }
    }
  }
}

void BlendRows(const BlendRowsArgs& args) {
  for (int64_t i = 0; i < args.row_bytes; ++i) {
    int32_t sum = kHalf;
    for (int64_t row = 0; row < args.num_rows; ++row) {
      sum += args.rows[row * args.row_bytes + i] * WeightAt(args.weights, row);
    }
    args.out[i] = RoundToByte(sum);
  }
}

}  // namespace

ImageKernels Image() {
  return {.isa = "reference", .resize_rows = ResizeRows, .blend_rows = BlendRows};
}

}  // namespace autoglm::kernels::reference
