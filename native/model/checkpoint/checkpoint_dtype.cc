#include "model/checkpoint/checkpoint_dtype.h"

#include <string>

namespace autoglm {

std::optional<Dtype> ReadDtype(const JsonObject& root, const JsonObject& part, Status& status) {
  for (const JsonObject* object : {&part, &root}) {
    for (const char* name : {"dtype", "torch_dtype"}) {
      if (!object->Has(name)) continue;
      const std::string value = object->String(name, "");
      for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
        if (value == DtypeName(dtype)) return dtype;
      }
      if (status.ok()) {
        status = Unsupported(object->where() + ": " + name + " \"" + value +
                             "\" is not supported; supported: float32, bfloat16, float16");
      }
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace autoglm
