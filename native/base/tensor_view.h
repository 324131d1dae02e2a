#ifndef AUTOGLM_BASE_TENSOR_VIEW_H_
#define AUTOGLM_BASE_TENSOR_VIEW_H_

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/dtype.h"

namespace autoglm {

// Non-owning float32 matrix [rows, columns]; row r starts at data + r * stride. The memory lies on
// the device whose operations use it.
struct MatrixView {
  float* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;

  // Returns rows begin .. begin + count - 1.
  MatrixView Rows(int64_t begin, int64_t count) const {
    CHECK(begin >= 0 && count >= 0 && begin + count <= rows);
    return {data + begin * stride, count, columns, stride};
  }
  // Returns columns begin .. begin + count - 1 of every row.
  MatrixView Columns(int64_t begin, int64_t count) const {
    CHECK(begin >= 0 && count >= 0 && begin + count <= columns);
    return {data + begin, rows, count, stride};
  }
};

// Makes a dense matrix: its rows follow each other without gaps.
inline MatrixView DenseMatrix(float* data, int64_t rows, int64_t columns) {
  return {data, rows, columns, columns};
}

// Non-owning dense tensor in host memory, as a checkpoint holds it.
struct TensorView {
  const void* data = nullptr;
  Dtype dtype = Dtype::kFloat32;
  std::vector<int64_t> shape;
  bool is_mapped = false;  // data are pages of a mapped file, see DropFilePages

  int64_t NumElements() const {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    return count;
  }
};

}  // namespace autoglm

#endif  // AUTOGLM_BASE_TENSOR_VIEW_H_
