#ifndef AUTOGLM_MODEL_QUANTIZE_OPTIONS_H_
#define AUTOGLM_MODEL_QUANTIZE_OPTIONS_H_

#include <optional>
#include <string>

#include "base/status.h"
#include "base/weight_format.h"
#include "model/checkpoint/quantization_config.h"

namespace autoglm {

// What is rounded to integers at load, though the checkpoint has it as floats.
struct QuantizeOptions {
  std::optional<WeightType> type;  // int8 or int4; none: nothing is rounded
  bool quantizes_head = true;      // of a decoder; the embedding, norms and biases never are
};

// Returns the format of matrices that a checkpoint has as floats: `plain`, or int8 with one scale a
// column, or int4 in groups of 128. With bfloat16 activations, inputs of int8 are rounded to int8
// too.
WeightFormat LinearFormat(const WeightFormat& plain, const QuantizeOptions& options,
                          Dtype activation_dtype);

// Reads how the checkpoint is quantized. Float32 activations stay float32 whatever it says of
// inputs. Refuses to quantize a checkpoint that is quantized already.
Result<QuantizationConfig> ReadUsedQuantization(const std::string& directory,
                                                const QuantizeOptions& options,
                                                Dtype activation_dtype);

// Names a format with its groups and what it does to inputs, such as "int4 in groups of 128".
std::string FormatName(const WeightFormat& format);

// Names all of a model's formats that decides its answers, such as "int4 in groups of 128", or ""
// without integers: of the layers' products and of the head.
std::string QuantizationName(const WeightFormat& layers, const WeightFormat& head);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_QUANTIZE_OPTIONS_H_
