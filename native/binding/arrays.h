#ifndef AUTOGLM_BINDING_ARRAYS_H_
#define AUTOGLM_BINDING_ARRAYS_H_

#include <napi.h>

#include <vector>

namespace autoglm::binding {

// Arrays that native memory points into, kept alive until the job that reads them is gone.
using KeptArrays = std::vector<Napi::ObjectReference>;

// Small results are copied; larger ones become the array's own memory.
Napi::Float32Array MakeFloats(Napi::Env env, std::vector<float> values);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ARRAYS_H_
