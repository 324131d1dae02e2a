#ifndef AUTOGLM_BASE_WEIGHT_FORMAT_H_
#define AUTOGLM_BASE_WEIGHT_FORMAT_H_

#include <cstdint>

#include "base/dtype.h"

namespace autoglm {

enum class WeightType : uint8_t { kFloat32, kBfloat16, kFloat16 };

// What a packed weight is: its numbers, and the scales they are multiplied with. Only a device knows
// how both lie in memory. Kernels of every instruction set include this header, so it declares
// functions and defines none.
struct WeightFormat {
  WeightType type;
  int64_t group_size;  // consecutive inputs of an output column that share a scale; 0: no scales
  Dtype scale_dtype;   // without meaning if there are no scales
};

// The format of numbers that stand for themselves.
WeightFormat PlainFormat(Dtype dtype);

// The type a weight of this format has before it is packed, and a table that is never packed.
Dtype UnpackedDtype(const WeightFormat& format);

// "float32", "bfloat16" or "float16".
const char* WeightFormatName(const WeightFormat& format);

// Names of all formats, for messages.
const char* WeightFormatNames();

// Is `name` that of a format? Sets `format` if so.
bool FindWeightFormat(const char* name, WeightFormat& format);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_WEIGHT_FORMAT_H_
