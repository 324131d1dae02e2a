#ifndef AUTOGLM_KERNELS_PACKING_CONVERT_H_
#define AUTOGLM_KERNELS_PACKING_CONVERT_H_

#include "kernels/kernels.h"

namespace autoglm {

struct Conversion {
  const void* source;  // [count] of source_dtype
  Dtype source_dtype;
  void* target;  // [count] of target_dtype
  Dtype target_dtype;
  int64_t count;
};

// Converts between any two types; equal types are copied bit for bit.
void ConvertValues(const kernels::ConvertKernels& kernels, const Conversion& conversion);

}  // namespace autoglm

#endif  // AUTOGLM_KERNELS_PACKING_CONVERT_H_
