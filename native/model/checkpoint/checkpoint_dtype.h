#ifndef AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_
#define AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_

#include <optional>

#include "base/dtype.h"
#include "model/checkpoint/json.h"

namespace autoglm {

// Reads the type of the weights from config.json: `dtype` or `torch_dtype`, in a part's own block
// or at the top. Returns none if the value is null or missing; a type that is not supported sets
// `status`.
std::optional<Dtype> ReadDtype(const JsonObject& root, const JsonObject& part, Status& status);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_
