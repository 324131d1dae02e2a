#include "base/kv_dtype.h"

#include <cstring>
#include <initializer_list>

namespace autoglm {

int64_t KvDtypeBytes(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kFloat32:
      return 4;
    case KvDtype::kBfloat16:
      return 2;
    case KvDtype::kInt8:
      return 1;
  }
  return 0;
}

const char* KvDtypeName(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kFloat32:
      return "float32";
    case KvDtype::kBfloat16:
      return "bfloat16";
    case KvDtype::kInt8:
      return "int8";
  }
  return "unknown";
}

bool FindKvDtype(const char* name, KvDtype& dtype) {
  for (const KvDtype each : {KvDtype::kFloat32, KvDtype::kBfloat16, KvDtype::kInt8}) {
    if (std::strcmp(name, KvDtypeName(each)) != 0) continue;
    dtype = each;
    return true;
  }
  return false;
}

KvDtype KvDtypeOf(Dtype activation_dtype) {
  return activation_dtype == Dtype::kFloat32 ? KvDtype::kFloat32 : KvDtype::kBfloat16;
}

}  // namespace autoglm
