#ifndef AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_
#define AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_

#include <optional>

#include "base/dtype.h"
#include "model/checkpoint/json.h"

namespace autoglm {

// The type config.json says weights have: `dtype`, in older files `torch_dtype`, in a part's own
// block or at the top. Null means not said; a type that is not supported sets `status`.
std::optional<Dtype> ReadDtype(const JsonObject& root, const JsonObject& part, Status& status);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_CHECKPOINT_DTYPE_H_
