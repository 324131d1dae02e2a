#ifndef AUTOGLM_MODEL_QUANTIZATION_CONFIG_H_
#define AUTOGLM_MODEL_QUANTIZATION_CONFIG_H_

#include <string>

#include "base/status.h"

namespace autoglm {

// How a checkpoint says that its matrices are quantized. Widths, groups and zero points are read
// from the tensors; this is what the tensors do not tell.
struct QuantizationConfig {
  enum class Method { kNone, kCompressedTensors, kFp8, kGptq, kAwq };

  Method method = Method::kNone;
  // Inputs of products with int8 weights are rounded to int8, with one scale a row.
  bool quantizes_input = false;
  // Inputs of products with fp8 weights that have one scale, or one a row, are rounded to fp8, with one
  // scale a row, found in each product.
  bool rounds_input_to_fp8 = false;
  // Weights of fp8 stay so, because the device multiplies them; otherwise they are widened.
  bool keeps_fp8 = false;
  // Of GPTQ: the stored zero points are one less than the ones they stand for (the first version of
  // the format).
  bool zero_points_less_one = false;
};

// Reads `quantization_config` of DIRECTORY/config.json, or of its text_config. Refuses a method, a
// format or a setting that would be computed wrongly.
Result<QuantizationConfig> ReadQuantizationConfig(const std::string& directory);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_QUANTIZATION_CONFIG_H_
