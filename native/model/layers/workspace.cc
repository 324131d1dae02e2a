#include "model/layers/workspace.h"

#include <utility>

namespace autoglm {
namespace {

constexpr int64_t kAlignmentValues = 16;  // 64 bytes

int64_t ValuesOf(const Workspace::Matrix& matrix) {
  return (matrix.rows * matrix.columns + kAlignmentValues - 1) / kAlignmentValues *
         kAlignmentValues;
}

}  // namespace

Status Workspace::LayOut(const Device& device, std::initializer_list<Matrix> matrices) {
  int64_t values = 0;
  for (const Matrix& matrix : matrices) values += ValuesOf(matrix);
  const size_t bytes = static_cast<size_t>(values) * sizeof(float);
  if (bytes > buffer_.bytes()) {
    buffer_ = DeviceBuffer();  // frees the smaller buffer before the larger one is allocated
    Result<DeviceBuffer> buffer = device.ops->allocate(*device.context, bytes);
    if (!buffer.ok()) return buffer.status();
    buffer_ = std::move(buffer.value());
  }
  float* next = buffer_.as<float>();
  for (const Matrix& matrix : matrices) {
    *matrix.view = DenseMatrix(next, matrix.rows, matrix.columns);
    next += ValuesOf(matrix);
  }
  return Status();
}

}  // namespace autoglm
