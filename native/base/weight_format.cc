#include "base/weight_format.h"

#include <cstring>

namespace autoglm {
namespace {

constexpr Dtype kPlainDtypes[] = {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16};

WeightType PlainType(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFloat32:
      return WeightType::kFloat32;
    case Dtype::kBfloat16:
      return WeightType::kBfloat16;
    case Dtype::kFloat16:
      return WeightType::kFloat16;
  }
  return WeightType::kFloat32;
}

}  // namespace

WeightFormat PlainFormat(Dtype dtype) { return {.type = PlainType(dtype)}; }

bool IsQuantized(const WeightFormat& format) {
  return format.type == WeightType::kInt8 || format.type == WeightType::kInt4 ||
         format.type == WeightType::kFp8;
}

int64_t NumGroups(const WeightFormat& format, int64_t depth) {
  if (!IsQuantized(format)) return 0;
  return format.group_size == 0 ? 1 : (depth + format.group_size - 1) / format.group_size;
}

Dtype UnpackedDtype(const WeightFormat& format) {
  switch (format.type) {
    case WeightType::kBfloat16:
      return Dtype::kBfloat16;
    case WeightType::kFloat16:
      return Dtype::kFloat16;
    case WeightType::kFloat32:
    case WeightType::kInt8:
    case WeightType::kInt4:
    case WeightType::kFp8:
      return Dtype::kFloat32;
  }
  return Dtype::kFloat32;
}

const char* WeightFormatName(const WeightFormat& format) {
  switch (format.type) {
    case WeightType::kInt8:
      return "int8";
    case WeightType::kInt4:
      return "int4";
    case WeightType::kFp8:
      return "fp8";
    default:
      return DtypeName(UnpackedDtype(format));
  }
}

const char* PlainFormatNames() { return "float32, bfloat16 or float16"; }

bool FindPlainFormat(const char* name, WeightFormat& format) {
  for (const Dtype dtype : kPlainDtypes) {
    if (std::strcmp(name, DtypeName(dtype)) != 0) continue;
    format = PlainFormat(dtype);
    return true;
  }
  return false;
}

}  // namespace autoglm
