#include "binding/arrays.h"

#include <algorithm>
#include <utility>

namespace autoglm::binding {
namespace {

// Below this size a copy costs less than a finaliser.
constexpr size_t kMaxCopiedBytes = size_t{64} << 10;

}  // namespace

Napi::Float32Array MakeFloats(Napi::Env env, std::vector<float> values) {
  const size_t bytes = values.size() * sizeof(float);
  if (bytes <= kMaxCopiedBytes) {
    Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
  }
  auto* owner = new std::vector<float>(std::move(values));
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, owner->data(), bytes,
      [](Napi::Env, void*, std::vector<float>* finalised) { delete finalised; }, owner);
  return Napi::Float32Array::New(env, owner->size(), buffer, 0);
}

}  // namespace autoglm::binding
