#ifndef AUTOGLM_MODEL_QUANTIZED_LAYOUTS_H_
#define AUTOGLM_MODEL_QUANTIZED_LAYOUTS_H_

#include <string>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/host_weight.h"

namespace autoglm {

// The tensors that together hold one quantized matrix X [rows, depth] in a checkpoint:
//
// - compressed-tensors (https://github.com/vllm-project/compressed-tensors): X.weight of int8 or
//   FP8 with X.weight_scale, or X.weight_packed with X.weight_scale and X.weight_zero_point;
// - FP8 of other tools: X.weight_scale_inv, which multiplies too;
// - GPTQ (https://github.com/AutoGPTQ/AutoGPTQ) and AWQ (https://github.com/casper-hansen/AutoAWQ):
//   X.qweight, X.qzeros and X.scales, all transposed, and X.g_idx of GPTQ.
class QuantizedTensors {
 public:
  QuantizedTensors(const TensorSource& source, ModelPart part, std::string name);

  // Returns false if X.weight is floats without a scale, or is missing.
  bool IsQuantized() const;
  // Sets the format, scales and zero points of `weight`, whose extents are set. Refuses a form that
  // is not supported.
  Status Describe(const QuantizationConfig& config, HostWeight& weight) const;
  // Reads integers, or floats widened from FP8, to a weight that was described.
  void Read(HostWeight& weight, ThreadPool& threads) const;
  // Returns X.weight, or the tensors that stand for it.
  std::vector<const StoredTensor*> All() const;

  // Returns the main tensor's file and name, for messages.
  std::string where() const;

 private:
  // Returns the tensor X + suffix, or null.
  const StoredTensor* Find(const char* suffix) const;
  // Returns the tensor X + suffix of one of the types and of this shape.
  Result<const StoredTensor*> Require(const char* suffix, const std::vector<std::string>& dtypes,
                                      const std::vector<int64_t>& shape) const;
  std::string WhereOf(const char* suffix) const;
  // Returns the group size of `num_groups` scales a row. Refuses groups other than 32, 64, 128 and
  // the whole row.
  Result<int64_t> GroupSize(const HostWeight& weight, int64_t num_groups) const;
  // Reads X + suffix [rows, groups] to the weight's scales, and sets the format's group.
  Status ReadScales(const char* suffix, HostWeight& weight) const;
  // Does the same for [groups, rows].
  Status ReadTransposedScales(HostWeight& weight) const;
  Status DescribeInt8(const QuantizationConfig& config, HostWeight& weight) const;
  Status DescribePacked(const QuantizationConfig& config, HostWeight& weight) const;
  Status ReadPackedZeroPoints(HostWeight& weight) const;
  // Keeps the numbers if the configuration does.
  Status DescribeFp8(const QuantizationConfig& config, HostWeight& weight) const;
  // Returns the shape that the scales of FP8 must have.
  std::vector<int64_t> Fp8ScaleShape(const HostWeight& weight) const;
  const char* Fp8ScaleSuffix() const;
  Status DescribeGptq(const QuantizationConfig& config, HostWeight& weight) const;
  Status CheckOrder(const HostWeight& weight) const;
  Status DescribeAwq(HostWeight& weight) const;
  // Reads X.qzeros [groups, rows / 8]; the column 8c + j lies at nibbles[j].
  Status ReadTransposedZeros(const int64_t nibbles[], int8_t add, HostWeight& weight) const;
  void ReadPacked(HostWeight& weight, ThreadPool& threads) const;
  void ReadFp8(HostWeight& weight, ThreadPool& threads) const;
  void ReadGptq(HostWeight& weight, ThreadPool& threads) const;
  void ReadAwq(HostWeight& weight, ThreadPool& threads) const;

  const TensorSource& source_;
  const ModelPart part_;
  const std::string name_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_QUANTIZED_LAYOUTS_H_
