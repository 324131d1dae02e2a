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

WeightFormat PlainFormat(Dtype dtype) { return {PlainType(dtype), 0, Dtype::kFloat32}; }

Dtype UnpackedDtype(const WeightFormat& format) {
  switch (format.type) {
    case WeightType::kFloat32:
      return Dtype::kFloat32;
    case WeightType::kBfloat16:
      return Dtype::kBfloat16;
    case WeightType::kFloat16:
      return Dtype::kFloat16;
  }
  return Dtype::kFloat32;
}

const char* WeightFormatName(const WeightFormat& format) {
  return DtypeName(UnpackedDtype(format));
}

const char* WeightFormatNames() { return "float32, bfloat16 or float16"; }

bool FindWeightFormat(const char* name, WeightFormat& format) {
  for (const Dtype dtype : kPlainDtypes) {
    if (std::strcmp(name, DtypeName(dtype)) != 0) continue;
    format = PlainFormat(dtype);
    return true;
  }
  return false;
}

}  // namespace autoglm
