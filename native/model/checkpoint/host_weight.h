#ifndef AUTOGLM_MODEL_HOST_WEIGHT_H_
#define AUTOGLM_MODEL_HOST_WEIGHT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/tensor_view.h"
#include "base/weight_format.h"
#include "device/thread_pool.h"
#include "kernels/ops.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/quantization_config.h"

namespace autoglm {

// Consecutive rows of a stored matrix, or consecutive inputs of all its rows.
struct Slice {
  int64_t first = 0;
  int64_t count = 0;
};

// Where a part of a matrix lies in the whole that a checkpoint stores.
struct StoredPlace {
  int64_t rows = 0;         // of the whole
  int64_t depth = 0;        // of the whole
  int64_t first_row = 0;    // of the part
  int64_t first_input = 0;  // of the part
};

// A matrix of a checkpoint, or a part of one, in host memory, [rows, depth]: floats as the file holds
// them or widened from FP8; or numbers with scales, which are integers, one a byte, unpacked from any of
// the layouts that checkpoints have, or FP8. It is described first, with its scales and zero points, and read when there is a place for it.
struct HostWeight {
  int64_t rows = 0;
  int64_t depth = 0;
  StoredPlace place;
  bool is_scaled = false;  // numbers with scales
  // Data is null if there are scales, or floats that are not read. Before a part of the depth is
  // read, its rows begin place.depth elements after each other; so do `values` of int8 and FP8.
  TensorView floats;
  WeightFormat format;  // of the numbers with scales

  const int8_t* values = nullptr;  // [rows, depth], or bits of FP8; null if they are not read
  std::vector<float> scales;       // [rows, groups]
  std::vector<int8_t> zero_points;  // [rows, groups] if the format has them

  std::vector<int8_t> unpacked;  // memory of the values that no file holds as they are
  std::vector<float> widened;    // memory of the floats that no file holds as they are
  std::vector<char> gathered;    // memory of the rows' parts, brought together

  bool HasWholeRows() const { return depth == place.depth; }
  // The rows, which must have been read.
  WeightRows Rows() const;
};

// Matrix to be read, or the part of it that `rows` and `inputs` leave: `name` without ".weight".
struct HostWeightRequest {
  ModelPart part;
  std::string name;
  std::vector<int64_t> shape;  // as stored: [rows, ...]; the rest multiplies to the depth
  std::optional<Slice> rows = std::nullopt;    // none: all
  std::optional<Slice> inputs = std::nullopt;  // none: all
};

// Describes a matrix in whatever form the checkpoint has it: the tensors beside its name tell.
// Refuses a form that is not supported with the tensor's name.
Result<HostWeight> DescribeHostWeight(const TensorSource& source, const QuantizationConfig& config,
                                      const HostWeightRequest& request);

// Reads the numbers of a matrix that was described from the same request.
void ReadHostWeight(const TensorSource& source, const HostWeightRequest& request,
                    HostWeight& weight, ThreadPool& threads);

// Returns the tensors of a checkpoint that hold a matrix.
std::vector<const StoredTensor*> TensorsOf(const TensorSource& source,
                                           const HostWeightRequest& request);

// Turns numbers with scales into the floats for which they stand.
void Dequantize(HostWeight& weight, ThreadPool& threads);

// Returns the format with scales in which all weights can be packed as one, with zero points or a
// wider type of scales if one of them needs it; none if they are to be packed as floats.
std::optional<WeightFormat> CommonFormat(const std::vector<HostWeight>& weights);

// Brings weights that were read to their common format.
void MakeFormatsEqual(std::vector<HostWeight>& weights, ThreadPool& threads);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_HOST_WEIGHT_H_
