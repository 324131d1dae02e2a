#ifndef AUTOGLM_KERNELS_SIMD_ROPE_H_
#define AUTOGLM_KERNELS_SIMD_ROPE_H_

#include "kernels/kernels.h"
#include "kernels/simd/sweep.h"

namespace autoglm::kernels {
namespace {

// Calls rotate(head, cosines, sines) for every head of every row.
template <typename Rotate>
void ForEachHead(const RopeArgs& args, const Rotate& rotate) {
  for (int64_t row = 0; row < args.num_rows; ++row) {
    float* x = args.x + row * args.row_stride;
    for (int64_t head = 0; head < args.num_heads; ++head) {
      rotate(x + head * args.head_dim, args.cos + row * args.num_pairs,
             args.sin + row * args.num_pairs);
    }
  }
}

// Rotates pairs whose elements are in neighbouring lanes: each cosine and sine is loaded into two.
template <typename V>
void RotateInterleaved(const RopeArgs& args) {
  ForEachHead(args, [&](float* x, const float* cos, const float* sin) {
    ForEachVector<V>(2 * args.num_pairs, [&](int64_t i, int64_t n) {
      const typename V::Float pairs = V::LoadFirst(x + i, n);
      const typename V::Float crossed =
          V::Multiply(V::SwapNeighbours(pairs), V::LoadTwiceFirst(sin + i / 2, n / 2));
      V::StoreFirst(
          x + i, V::MultiplySubtractAdd(pairs, V::LoadTwiceFirst(cos + i / 2, n / 2), crossed), n);
    });
  });
}

template <typename V>
void RotateHalves(const RopeArgs& args) {
  ForEachHead(args, [&](float* x, const float* cos, const float* sin) {
    float* upper = x + args.num_pairs;
    ForEachVector<V>(args.num_pairs, [&](int64_t i, int64_t n) {
      const typename V::Float a = V::LoadFirst(x + i, n);
      const typename V::Float b = V::LoadFirst(upper + i, n);
      const typename V::Float c = V::LoadFirst(cos + i, n);
      const typename V::Float s = V::LoadFirst(sin + i, n);
      V::StoreFirst(x + i, V::NegativeMultiplyAdd(b, s, V::Multiply(a, c)), n);
      V::StoreFirst(upper + i, V::MultiplyAdd(a, s, V::Multiply(b, c)), n);
    });
  });
}

template <typename V>
RopeKernels Rope(const char* isa) {
  return {.isa = isa, .interleaved = RotateInterleaved<V>, .halves = RotateHalves<V>};
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_ROPE_H_
