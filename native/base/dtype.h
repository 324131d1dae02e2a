#ifndef AUTOGLM_BASE_DTYPE_H_
#define AUTOGLM_BASE_DTYPE_H_

#include <cstddef>
#include <cstdint>

namespace autoglm {

// Storage type of a number. Kernels of every instruction set include this header, so it holds
// declarations only: an inline function here would become a weak symbol with wide instructions.
enum class Dtype : uint8_t { kFloat32, kBfloat16, kFloat16 };

size_t DtypeBytes(Dtype dtype);

// Returns "float32", "bfloat16" or "float16".
const char* DtypeName(Dtype dtype);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_DTYPE_H_
