#ifndef AUTOGLM_BINDING_ARRAYS_H_
#define AUTOGLM_BINDING_ARRAYS_H_

#include <napi.h>

#include <vector>

namespace autoglm::binding {

// JavaScript arrays whose memory a job reads. They are kept alive until the job is gone.
using KeptArrays = std::vector<Napi::ObjectReference>;

// Makes a JavaScript array of the values: small results are copied, larger ones become the array's
// own memory.
Napi::Float32Array MakeFloats(Napi::Env env, std::vector<float> values);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ARRAYS_H_
