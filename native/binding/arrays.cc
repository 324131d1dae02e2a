#include "binding/arrays.h"

#include <cstddef>
#include <utility>

namespace autoglm::binding {
namespace {

// Below this size a copy costs less than a finaliser.
constexpr size_t kMaxCopiedBytes = size_t{64} << 10;

}  // namespace

Napi::Float32Array MakeFloats(Napi::Env env, std::vector<float> values) {
  const size_t bytes = values.size() * sizeof(float);
  if (bytes <= kMaxCopiedBytes) return MakeArray<Napi::Float32Array>(env, values);
  auto* owner = new std::vector<float>(std::move(values));
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, owner->data(), bytes,
      [](Napi::Env, void*, std::vector<float>* finalised) { delete finalised; }, owner);
  const size_t size = owner->size();
  // An environment that is ending takes no memory over.
  if (buffer.IsEmpty()) delete owner;
  return Napi::Float32Array::New(env, size, buffer, 0);
}

}  // namespace autoglm::binding
