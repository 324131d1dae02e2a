#ifndef AUTOGLM_MODEL_WEIGHT_LOADER_H_
#define AUTOGLM_MODEL_WEIGHT_LOADER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/ops.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/host_weight.h"
#include "model/checkpoint/quantization_config.h"
#include "model/weights/weight_memory.h"

namespace autoglm {

// How far a load has come, for other threads to read.
struct LoadProgress {
  std::atomic<uint64_t> total_bytes{0};  // in memory at the end; 0: not known yet
  std::atomic<uint64_t> done_bytes{0};
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

// One weight of a checkpoint, or some rows of it, that becomes part of a linear layer.
struct LinearPart {
  std::string name;  // without ".weight" and ".bias"
  int64_t columns;   // output width as stored
  std::optional<Slice> taken = std::nullopt;  // of the columns; none: all
};

// Brings the tensors of one part of a checkpoint to a device: matrices packed, vectors as float32.
// A matrix that the checkpoint has as integers keeps them, and fp8 where the device multiplies it. Where the memory is filled already, or
// only planned, no numbers are read. status() keeps the first refusal, and every weight loaded after
// it is empty, so that a model loads its list of weights without interruption and checks once, at
// its end.
class WeightLoader {
 public:
  struct Options {
    ModelPart part;
    WeightFormat format;         // of tables, and of kernels of convolutions
    WeightFormat linear_format;  // of matrices that the checkpoint has as floats
    QuantizationConfig quantization = {};  // of the checkpoint
    // Another thread sets it to cancel before the next tensor; null: loading cannot be cancelled.
    const std::atomic<bool>* cancelled = nullptr;
    LoadProgress* progress = nullptr;  // null: no one looks
  };

  WeightLoader(const Device& device, const TensorSource& source, WeightMemory& memory,
               const Options& options)
      : device_(device), source_(source), memory_(memory), options_(options) {
    const Fp8Products fp8 = device.ops->fp8_products(*device.context);
    options_.quantization.keeps_fp8 = fp8 != Fp8Products::kNone;
    if (fp8 != Fp8Products::kFloatsAndFp8) options_.quantization.rounds_input_to_fp8 = false;
  }

  // Loads a vector as float32: [size].
  const float* LoadVector(const std::string& name, int64_t size);
  // Loads a tensor of any shape as dense float32.
  const float* LoadFloats(const std::string& name, const std::vector<int64_t>& shape);
  EmbeddingTable LoadTable(const std::string& name, int64_t num_rows, int64_t columns);
  // Loads some rows of a table [num_rows, columns], with one row of zeros behind them.
  EmbeddingTable LoadTableRows(const std::string& name, int64_t num_rows, int64_t columns,
                               const Slice& rows);
  // Loads several matrices as one, their outputs side by side (q|k|v); each is stored in
  // `shape_tail` dimensions after its columns, such as {depth}, or {channels, height, width} of a
  // convolution.
  Linear LoadLinear(const std::vector<LinearPart>& parts, const std::vector<int64_t>& shape_tail,
                    bool has_bias);
  // Loads a part of the inputs of a matrix [part.columns, depth] without bias.
  Linear LoadInputs(const LinearPart& part, int64_t depth, const Slice& inputs);
  // Adds float32 values made at load, such as a re-ordered kernel.
  const float* AddFloats(const std::vector<float>& values);
  // Adds a matrix made at load: [columns, depth], row-major.
  Linear AddLinear(const std::vector<float>& weight, int64_t depth, const std::vector<float>& bias);

  // Reads a checkpoint tensor to host memory, for weights that must be changed before they are
  // added. Gives zeros if the memory needs no numbers.
  std::vector<float> ReadFloats(const std::string& name, const std::vector<int64_t>& shape);

  const Status& status() const { return status_; }

 private:
  TensorView Find(const std::string& name, const std::vector<int64_t>& shape);
  bool IsCancelled();
  // Takes the place of a weight and has `fill` write it, unless it is there already.
  template <typename Fill>
  const void* Place(const WeightEntry& entry, const Fill& fill);
  const void* Upload(const TensorView& source, Dtype dtype);
  // Converts a tensor in pieces, and gives back the pages of each.
  void UploadPieces(const TensorView& source, Dtype dtype, void* target);
  // Loads the requested matrices as one, their rows side by side.
  PackedMatrix LoadMatrix(const std::vector<HostWeightRequest>& requests, bool is_matrix);
  // Reads the bias of a part of a linear layer.
  std::vector<float> ReadBias(const LinearPart& part);
  HostWeight Describe(const HostWeightRequest& request);
  // Says that the tensors of a matrix are about to be read, or that they have been.
  void WillRead(const HostWeightRequest& request);
  void DropPages(const HostWeightRequest& request);
  // Describes the parts of a linear layer and returns the format in which they are packed as one.
  WeightFormat DescribeParts(const std::vector<HostWeightRequest>& requests, bool is_matrix,
                             std::vector<HostWeight>& weights);
  // Fills the place of a matrix.
  template <typename Fill>
  PackedMatrix Pack(const WeightShape& shape, const Fill& fill);
  void PackRows(const std::vector<WeightRows>& rows, const WeightShape& shape, void* packed);

  const Device& device_;
  const TensorSource& source_;
  WeightMemory& memory_;
  Options options_;
  Status status_;
};

// Names all settings that decide what a checkpoint's weights become in memory.
std::string LoadingName(const WeightLoader::Options& options);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_WEIGHT_LOADER_H_
