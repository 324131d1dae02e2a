#include "kernels/reference/reference.h"

namespace autoglm::kernels::reference {
namespace {

// Rotates element `first` and element `second` of each head for every pair.
template <int64_t (*kFirst)(int64_t pair, int64_t num_pairs),
          int64_t (*kSecond)(int64_t pair, int64_t num_pairs)>
void Rotate(const RopeArgs& args) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    const float* cos = args.cos + row * args.num_pairs;
    const float* sin = args.sin + row * args.num_pairs;
    for (int64_t head = 0; head < args.num_heads; ++head) {
      float* x = args.x + row * args.row_stride + head * args.head_dim;
      for (int64_t pair = 0; pair < args.num_pairs; ++pair) {
        float& first = x[kFirst(pair, args.num_pairs)];
        float& second = x[kSecond(pair, args.num_pairs)];
        const float a = first;
        const float b = second;
        first = a * cos[pair] - b * sin[pair];
        second = b * cos[pair] + a * sin[pair];
      }
    }
  }
}

int64_t Even(int64_t pair, int64_t) { return 2 * pair; }
int64_t Odd(int64_t pair, int64_t) { return 2 * pair + 1; }
int64_t Lower(int64_t pair, int64_t) { return pair; }
int64_t Upper(int64_t pair, int64_t num_pairs) { return pair + num_pairs; }

}  // namespace

RopeKernels Rope() {
  return {.isa = "reference", .interleaved = Rotate<Even, Odd>, .halves = Rotate<Lower, Upper>};
}

}  // namespace autoglm::kernels::reference
