#ifndef AUTOGLM_MODEL_WORKSPACE_H_
#define AUTOGLM_MODEL_WORKSPACE_H_

#include <cstdint>
#include <initializer_list>

#include "base/status.h"
#include "base/tensor_view.h"
#include "kernels/ops.h"

namespace autoglm {

// Activations of a model whose batches differ in size: one buffer that grows to the largest batch,
// handed out anew for each.
class Workspace {
 public:
  struct Shape {
    int64_t rows;
    int64_t columns;
  };

  // Room for matrices of these shapes together.
  Status Reserve(const Device& device, std::initializer_list<Shape> shapes);

  // Starts handing out from the beginning.
  void Reset() { used_ = 0; }
  // The next dense matrix; its values are whatever the memory held.
  MatrixView Take(int64_t rows, int64_t columns);

 private:
  DeviceBuffer buffer_;
  int64_t used_ = 0;  // values
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WORKSPACE_H_
