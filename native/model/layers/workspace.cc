#include "model/layers/workspace.h"

#include <utility>

namespace autoglm {
namespace {

constexpr int64_t kAlignmentValues = 16;  // 64 bytes

int64_t ValuesOf(const Workspace::Shape& shape) {
  return (shape.rows * shape.columns + kAlignmentValues - 1) / kAlignmentValues * kAlignmentValues;
}

}  // namespace

Status Workspace::Reserve(const Device& device, std::initializer_list<Shape> shapes) {
  int64_t values = 0;
  for (const Shape& shape : shapes) values += ValuesOf(shape);
  const size_t bytes = static_cast<size_t>(values) * sizeof(float);
  if (bytes <= buffer_.bytes()) return Status();
  buffer_ = DeviceBuffer();  // the smaller one goes before the larger one comes
  Result<DeviceBuffer> buffer = device.ops->allocate(*device.context, bytes);
  if (!buffer.ok()) return buffer.status();
  buffer_ = std::move(buffer.value());
  return Status();
}

MatrixView Workspace::Take(int64_t rows, int64_t columns) {
  const MatrixView matrix = DenseMatrix(buffer_.as<float>() + used_, rows, columns);
  used_ += ValuesOf({rows, columns});
  CHECK(static_cast<size_t>(used_) * sizeof(float) <= buffer_.bytes());
  return matrix;
}

}  // namespace autoglm
