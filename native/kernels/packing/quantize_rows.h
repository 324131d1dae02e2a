#ifndef AUTOGLM_KERNELS_PACKING_QUANTIZE_ROWS_H_
#define AUTOGLM_KERNELS_PACKING_QUANTIZE_ROWS_H_

#include <cstdint>

#include "base/weight_format.h"
#include "kernels/kernels.h"

namespace autoglm {

// One output column of a weight on its way to integers.
struct QuantizedRow {
  int8_t* values;  // [depth]
  float* scales;   // [groups], exact in the format's scale type
};

// Rounds one output column [depth] to the nearest integers of a format without zero points. int8
// has the scale max|w| / 127 of its group. int4 has the scale -w / 8 of the group's largest weight
// in magnitude, whose sign it takes, so that all sixteen numbers are used, as GGML's Q4_0 does
// (quantize_row_q4_0_ref, https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c). Returns
// false if a weight is not finite.
bool QuantizeRow(const kernels::ConvertKernels& convert, const WeightFormat& format,
                 const float* row, int64_t depth, const QuantizedRow& quantized);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_PACKING_QUANTIZE_ROWS_H_
