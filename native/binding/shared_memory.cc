#include "binding/shared_memory.h"

#include <algorithm>
#include <utility>

#include "binding/addon_data.h"
#include "binding/object_reader.h"

namespace autoglm::binding {
namespace {

Napi::Value Throw(Napi::Env env, const Status& status) {
  if (!env.IsExceptionPending()) {
    Napi::Error(env, MakeError(env, status)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

// Makes a buffer over memory that the owner keeps; its finaliser deletes the owner.
template <typename Owner>
Napi::ArrayBuffer MakeExternal(Napi::Env env, void* data, size_t bytes, Owner owner) {
  auto* kept = new Owner(std::move(owner));
  const Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
      env, data, bytes, [](Napi::Env, void*, Owner* finalised) { delete finalised; }, kept);
  // An environment that is ending takes no memory over.
  if (buffer.IsEmpty()) delete kept;
  return buffer;
}

Napi::Value MakeBytes(Napi::Env env, const Napi::ArrayBuffer& buffer, size_t bytes) {
  if (buffer.IsEmpty()) return env.Undefined();
  return Napi::Uint8Array::New(env, bytes, buffer, 0);
}

SharedMemoryPlace ReadPlace(const ObjectReader& object, Status& status) {
  SharedMemoryPlace place;
  place.process_id = object.Uint32("processId");
  place.descriptor = object.Uint32("descriptor");
  const int64_t bytes = object.Integer("numBytes");
  const std::optional<Napi::Uint8Array> token = object.Bytes("token");
  if (!status.ok()) return place;
  if (bytes <= 0 || token->ByteLength() != place.token.size()) {
    status = InvalidRequest("place: expected numBytes above 0 and a token of 16 bytes");
    return place;
  }
  place.bytes = static_cast<size_t>(bytes);
  std::copy_n(token->Data(), place.token.size(), place.token.begin());
  return place;
}

}  // namespace

Napi::ArrayBuffer MakeShared(Napi::Env env, SharedSegment segment, Napi::Object& object) {
  Napi::Object shared = Napi::Object::New(env);
  const SharedToken& token = segment.token();
  shared.Set("descriptor", Napi::Number::New(env, segment.descriptor()));
  shared.Set("token", Napi::Buffer<uint8_t>::Copy(env, token.data(), token.size()));
  object.Set("shared", shared);
  void* data = segment.data();
  const size_t bytes = segment.bytes();
  return MakeExternal(env, data, bytes, std::move(segment));
}

void LimitSharing(const Napi::CallbackInfo& info) {
  const double max_bytes = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (!(max_bytes >= 0 && max_bytes <= 0x1p53)) {
    Throw(info.Env(), InvalidRequest("expected a number of bytes"));
    return;
  }
  DataOf(info.Env()).sharing->SetLimit(static_cast<size_t>(max_bytes));
}

Napi::Value SharedBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Napi::Number::New(env, static_cast<double>(DataOf(env).sharing->bytes()));
}

Napi::Value ShareBytes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return Throw(env, InvalidRequest("expected a Uint8Array"));
  }
  const Napi::Uint8Array array = info[0].As<Napi::Uint8Array>();
  const std::span<const uint8_t> bytes(array.Data(), array.ByteLength());
  Result<SharedSegment> segment = SharedSegment::Copy(std::as_bytes(bytes), DataOf(env).sharing);
  if (!segment.ok()) return Throw(env, segment.status());
  Napi::Object made = Napi::Object::New(env);
  const Napi::ArrayBuffer buffer = MakeShared(env, std::move(segment.value()), made);
  made.Set("bytes", MakeBytes(env, buffer, bytes.size()));
  return made;
}

Napi::Value MapShared(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status;
  const SharedMemoryPlace place = ReadPlace(ObjectReader(info[0], "place", status), status);
  if (!status.ok() || env.IsExceptionPending()) return Throw(env, status);
  Result<DeviceBuffer> mapping = MapSharedSegment(place);
  if (!mapping.ok()) return Throw(env, mapping.status());
  void* data = mapping.value().data();
  return MakeBytes(env, MakeExternal(env, data, place.bytes, std::move(mapping.value())),
                   place.bytes);
}

}  // namespace autoglm::binding
