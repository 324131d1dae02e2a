#ifndef AUTOGLM_BINDING_ARRAYS_H_
#define AUTOGLM_BINDING_ARRAYS_H_

#include <napi.h>

#include <algorithm>
#include <vector>

namespace autoglm::binding {

// JavaScript arrays whose memory a job reads. They are kept alive until the job is gone.
using KeptArrays = std::vector<Napi::ObjectReference>;

// Makes a JavaScript array, such as Napi::Uint32Array, with a copy of the values. An environment that
// is ending makes no arrays: the one returned is empty then, and has no memory to copy to.
template <typename Array, typename T>
Array MakeArray(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  if (array.Data() != nullptr) std::copy(values.begin(), values.end(), array.Data());
  return array;
}

// Makes a JavaScript array of the values: small results are copied, larger ones become the array's
// own memory.
Napi::Float32Array MakeFloats(Napi::Env env, std::vector<float> values);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ARRAYS_H_
