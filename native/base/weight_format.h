#ifndef AUTOGLM_BASE_WEIGHT_FORMAT_H_
#define AUTOGLM_BASE_WEIGHT_FORMAT_H_

#include <cstdint>

#include "base/dtype.h"

namespace autoglm {

enum class WeightType : uint8_t { kFloat32, kBfloat16, kFloat16, kInt8, kInt4, kFp8 };

// Format of a packed weight: the type of its numbers, and of the scales that multiply them. An
// integer q of a group with the scale s and the zero point z stands for (q - z) * s; int8 is
// -128..127, int4 is -8..7. fp8 is e4m3, of GPUs. Only a device knows how they lie in memory. Kernels of every instruction
// set include this header, so it declares functions and defines none.
struct WeightFormat {
  WeightType type = WeightType::kFloat32;
  // Consecutive inputs of an output column that share a scale, at most kMaxGroupSize; the last group
  // may be shorter. 0: one scale for the whole column. Only of integers and fp8.
  int64_t group_size = 0;
  Dtype scale_dtype = Dtype::kFloat32;  // of integers and fp8
  bool has_zero_points = false;         // of integers, each an int8; otherwise they are 0
  // The input of a product is rounded to the same type, with one scale a row: of fp8 and int8, with one
  // scale a column and no zero points.
  bool quantizes_input = false;
};

inline constexpr int64_t kMaxGroupSize = 1024;

// Largest width of an input that is rounded to int8: no sum of products is outside an int32.
inline constexpr int64_t kMaxQuantizedDepth = int64_t{1} << 17;

// Returns the format of numbers without scales.
WeightFormat PlainFormat(Dtype dtype);

// Returns true if the numbers have scales: integers and fp8.
bool IsQuantized(const WeightFormat& format);

// Returns the number of scales of one output column: 0 for floats.
int64_t NumGroups(const WeightFormat& format, int64_t depth);

// Returns the type of a weight of this format before it is packed: float32 for numbers with scales,
// of which a device rounds integers when it packs them. A table that is never packed has this type too.
Dtype UnpackedDtype(const WeightFormat& format);

// Returns "float32", "bfloat16", "float16", "int8", "int4" or "fp8".
const char* WeightFormatName(const WeightFormat& format);

// Returns the names of the formats without scales, for messages.
const char* PlainFormatNames();

// Sets `format` and returns true if `name` is the name of a format without scales.
bool FindPlainFormat(const char* name, WeightFormat& format);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_WEIGHT_FORMAT_H_
