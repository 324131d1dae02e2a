#ifndef AUTOGLM_KERNELS_SIMD_SWEEP_H_
#define AUTOGLM_KERNELS_SIMD_SWEEP_H_

#include <cstdint>

namespace autoglm::kernels {
namespace {

// Calls visit(first element, elements) for each vector of `count` elements; the last may be
// partial. The start of a vector does not depend on the data's alignment.
template <typename V, typename Visit>
void ForEachVector(int64_t count, const Visit& visit) {
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) visit(i, int64_t{V::kWidth});
  if (i < count) visit(i, count - i);
}

// Reduces `count` elements to one number: four partial results take vectors in turn, to keep
// several instructions in flight, and are joined at the end. `add(partial, i, elements)` adds a
// vector.
template <typename V, typename Add, typename Join>
typename V::Float Reduce(int64_t count, typename V::Float initial, const Add& add,
                         const Join& join) {
  typename V::Float partial[4] = {initial, initial, initial, initial};
  int64_t i = 0;
  for (; i + 4 * V::kWidth <= count; i += 4 * V::kWidth) {
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      partial[p] = add(partial[p], i + p * V::kWidth, int64_t{V::kWidth});
    }
  }
  for (; i < count; i += V::kWidth) {
    partial[0] = add(partial[0], i, count - i < V::kWidth ? count - i : int64_t{V::kWidth});
  }
  return join(join(partial[0], partial[1]), join(partial[2], partial[3]));
}

}  // namespace
}  // namespace autoglm::kernels

#endif  // AUTOGLM_KERNELS_SIMD_SWEEP_H_
