#ifndef AUTOGLM_KERNELS_CUDA_ROW_VECTORS_CUH_
#define AUTOGLM_KERNELS_CUDA_ROW_VECTORS_CUH_

#include <initializer_list>

#include "base/tensor_view.h"
#include "kernels/cuda/simt.h"

// Rows of matrices as the row operations walk them: four values an access where the rows allow it.

namespace autoglm::cuda {

inline constexpr int kVectorValues = 4;

// Matrix [rows, columns] in an operation's arguments.
struct RowsOf {
  float* data;
  int64_t stride;

  SIMT_DEVICE float* Row(int64_t row) const { return data + row * stride; }
};

inline RowsOf RowsOfView(const MatrixView& x) { return {x.data, x.stride}; }

// Returns whether vectors may be loaded from there on in steps of `stride` values.
inline bool IsVectorPlace(const void* data, int64_t stride, int value_bytes = 4) {
  return reinterpret_cast<uintptr_t>(data) % static_cast<size_t>(kVectorValues * value_bytes) ==
             0 &&
         stride % kVectorValues == 0;
}

// Returns whether all rows of all matrices divide into vectors.
inline bool AreVectorRows(std::initializer_list<MatrixView> matrices) {
  for (const MatrixView& x : matrices) {
    if (!IsVectorPlace(x.data, x.stride) || x.columns % kVectorValues != 0) return false;
  }
  return true;
}

// Calls `launch` with the number of values of an access, as a constant.
template <typename Function>
void WithVectorValues(bool is_vector, const Function& launch) {
  if (is_vector) {
    launch(std::integral_constant<int, kVectorValues>());
  } else {
    launch(std::integral_constant<int, 1>());
  }
}

template <int kValues>
SIMT_DEVICE Vec<float, kValues> LoadValues(const float* x) {
  return *reinterpret_cast<const Vec<float, kValues>*>(x);
}

template <int kValues>
SIMT_DEVICE void StoreValues(float* y, const Vec<float, kValues>& values) {
  *reinterpret_cast<Vec<float, kValues>*>(y) = values;
}

}  // namespace autoglm::cuda

#endif  // AUTOGLM_KERNELS_CUDA_ROW_VECTORS_CUH_
