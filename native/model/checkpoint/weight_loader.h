#ifndef AUTOGLM_MODEL_WEIGHT_LOADER_H_
#define AUTOGLM_MODEL_WEIGHT_LOADER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/ops.h"
#include "model/checkpoint/checkpoint.h"

namespace autoglm {

// Device memory of weights: many tensors in few allocations, freed together.
class WeightMemory {
 public:
  // Returns device memory, aligned to 64 bytes.
  Result<void*> Allocate(const Device& device, size_t bytes);
  // Returns the number of bytes allocated.
  size_t bytes() const { return bytes_; }

 private:
  std::vector<DeviceBuffer> chunks_;
  size_t used_ = 0;  // of the last chunk
  size_t bytes_ = 0;
};

// A linear layer: y = x * transpose(weight) + bias.
struct Linear {
  PackedMatrix weight;          // [columns, depth]
  const float* bias = nullptr;  // [columns] or null
};

// A table whose rows are looked up by id.
struct EmbeddingTable {
  const void* rows = nullptr;  // [num_rows, columns] of dtype
  Dtype dtype = Dtype::kFloat32;
  int64_t num_rows = 0;
  int64_t columns = 0;
};

// One weight of a checkpoint that becomes part of a linear layer.
struct LinearPart {
  std::string name;  // without ".weight" and ".bias"
  int64_t columns;   // output width
};

// Brings the tensors of one part of a checkpoint to a device: matrices packed in `format`, vectors
// as float32. status() keeps the first refusal, and every weight loaded after it is empty, so that
// a model loads its list of weights without interruption and checks once, at its end.
class WeightLoader {
 public:
  struct Options {
    ModelPart part;
    WeightFormat format;
    // Another thread sets it to cancel before the next tensor; null: loading cannot be cancelled.
    const std::atomic<bool>* cancelled = nullptr;
  };

  WeightLoader(const Device& device, const TensorSource& source, WeightMemory& memory,
               const Options& options)
      : device_(device), source_(source), memory_(memory), options_(options) {}

  // Loads a vector as float32: [size].
  const float* LoadVector(const std::string& name, int64_t size);
  // Loads a tensor of any shape as dense float32.
  const float* LoadFloats(const std::string& name, const std::vector<int64_t>& shape);
  EmbeddingTable LoadTable(const std::string& name, int64_t num_rows, int64_t columns);
  // Loads several matrices as one, their outputs side by side (q|k|v); each is stored in
  // `shape_tail` dimensions after its columns, such as {depth}, or {channels, height, width} of a
  // convolution.
  Linear LoadLinear(const std::vector<LinearPart>& parts, const std::vector<int64_t>& shape_tail,
                    bool has_bias);
  // Adds float32 values made at load, such as a re-ordered kernel.
  const float* AddFloats(const std::vector<float>& values);
  // Adds a matrix made at load: [columns, depth], row-major.
  Linear AddLinear(const std::vector<float>& weight, int64_t depth, const std::vector<float>& bias);

  // Reads a checkpoint tensor to host memory, for weights that must be changed before they are
  // added.
  std::vector<float> ReadFloats(const std::string& name, const std::vector<int64_t>& shape);

  const Status& status() const { return status_; }

 private:
  TensorView Find(const std::string& name, const std::vector<int64_t>& shape);
  void* Allocate(size_t bytes);
  const void* Upload(const TensorView& source, Dtype dtype);
  PackedMatrix Pack(const std::vector<WeightRows>& rows, int64_t depth);

  const Device& device_;
  const TensorSource& source_;
  WeightMemory& memory_;
  const Options options_;
  Status status_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_LOADER_H_
