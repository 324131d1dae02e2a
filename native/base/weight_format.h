#ifndef AUTOGLM_BASE_WEIGHT_FORMAT_H_
#define AUTOGLM_BASE_WEIGHT_FORMAT_H_

#include <cstdint>

#include "base/dtype.h"

namespace autoglm {

enum class WeightType : uint8_t { kFloat32, kBfloat16, kFloat16 };

// Format of a packed weight: the type of its numbers, and of the scales that multiply them. Only a
// device knows how both lie in memory. Kernels of every instruction set include this header, so it
// declares functions and defines none.
struct WeightFormat {
  WeightType type;
  int64_t group_size;  // consecutive inputs of an output column that share a scale; 0: no scales
  Dtype scale_dtype;   // not used if there are no scales
};

// Returns the format of numbers without scales.
WeightFormat PlainFormat(Dtype dtype);

// Returns the type of a weight of this format before it is packed. A table that is never packed has
// this type too.
Dtype UnpackedDtype(const WeightFormat& format);

// Returns "float32", "bfloat16" or "float16".
const char* WeightFormatName(const WeightFormat& format);

// Returns the names of all formats, for messages.
const char* WeightFormatNames();

// Sets `format` and returns true if `name` is the name of a format.
bool FindWeightFormat(const char* name, WeightFormat& format);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_WEIGHT_FORMAT_H_
