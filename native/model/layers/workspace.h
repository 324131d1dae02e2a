#ifndef AUTOGLM_MODEL_WORKSPACE_H_
#define AUTOGLM_MODEL_WORKSPACE_H_

#include <cstdint>
#include <initializer_list>

#include "base/status.h"
#include "base/tensor_view.h"
#include "kernels/ops.h"

namespace autoglm {

// Activations of a model whose batches differ in size: one buffer that grows to the largest batch.
// Each batch lays it out again from one list of the matrices that it needs.
class Workspace {
 public:
  struct Matrix {
    MatrixView* view;
    int64_t rows;
    int64_t columns;
  };

  // Points the views at dense matrices side by side; their values are undefined. The views of the
  // previous layout become invalid.
  Status LayOut(const Device& device, std::initializer_list<Matrix> matrices);

 private:
  DeviceBuffer buffer_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WORKSPACE_H_
