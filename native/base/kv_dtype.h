#ifndef AUTOGLM_BASE_KV_DTYPE_H_
#define AUTOGLM_BASE_KV_DTYPE_H_

#include <cstdint>

#include "base/dtype.h"

namespace autoglm {

// Storage type of a KV cache. In int8 each row, a token's key or value of one head, has a scale of
// its own: max|x| / 127, a float32. Kernels of every instruction set include this header, so it
// declares functions and defines none.
enum class KvDtype : uint8_t { kFloat32, kBfloat16, kInt8 };

// Returns the bytes of one number, without the row's scale.
int64_t KvDtypeBytes(KvDtype dtype);

// Returns "float32", "bfloat16" or "int8".
const char* KvDtypeName(KvDtype dtype);

// Sets `dtype` and returns true if `name` is the name of a type.
bool FindKvDtype(const char* name, KvDtype& dtype);

// Returns the type that keeps what products of `activation_dtype` read.
KvDtype KvDtypeOf(Dtype activation_dtype);

}  // namespace autoglm

#endif  // AUTOGLM_BASE_KV_DTYPE_H_
