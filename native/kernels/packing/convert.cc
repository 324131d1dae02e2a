#include "kernels/packing/convert.h"

#include <algorithm>
#include <cstring>

namespace autoglm {
namespace {

constexpr int64_t kValuesPerRound = 1024;

void Widen(const kernels::ConvertKernels& kernels, const Conversion& conversion) {
  const uint16_t* source = static_cast<const uint16_t*>(conversion.source);
  float* target = static_cast<float*>(conversion.target);
  if (conversion.source_dtype == Dtype::kBfloat16) {
    kernels.bfloat16_to_float32(source, target, conversion.count);
  } else {
    kernels.float16_to_float32(source, target, conversion.count);
  }
}

void Narrow(const kernels::ConvertKernels& kernels, const Conversion& conversion) {
  const float* source = static_cast<const float*>(conversion.source);
  uint16_t* target = static_cast<uint16_t*>(conversion.target);
  if (conversion.target_dtype == Dtype::kBfloat16) {
    kernels.float32_to_bfloat16(source, target, conversion.count);
  } else {
    kernels.float32_to_float16(source, target, conversion.count);
  }
}

// Converts float16 to bfloat16 or back, by way of float32.
void Rewrite(const kernels::ConvertKernels& kernels, const Conversion& conversion) {
  float wide[kValuesPerRound];
  for (int64_t begin = 0; begin < conversion.count; begin += kValuesPerRound) {
    const int64_t count = std::min(kValuesPerRound, conversion.count - begin);
    const uint16_t* source = static_cast<const uint16_t*>(conversion.source) + begin;
    uint16_t* target = static_cast<uint16_t*>(conversion.target) + begin;
    Widen(kernels, {source, conversion.source_dtype, wide, Dtype::kFloat32, count});
    Narrow(kernels, {wide, Dtype::kFloat32, target, conversion.target_dtype, count});
  }
}

}  // namespace

void ConvertValues(const kernels::ConvertKernels& kernels, const Conversion& conversion) {
  if (conversion.source_dtype == conversion.target_dtype) {
    std::memcpy(conversion.target, conversion.source,
                static_cast<size_t>(conversion.count) * DtypeBytes(conversion.source_dtype));
  } else if (conversion.target_dtype == Dtype::kFloat32) {
    Widen(kernels, conversion);
  } else if (conversion.source_dtype == Dtype::kFloat32) {
    Narrow(kernels, conversion);
  } else {
    Rewrite(kernels, conversion);
  }
}

}  // namespace autoglm
