#ifndef AUTOGLM_BINDING_SHARED_MEMORY_H_
#define AUTOGLM_BINDING_SHARED_MEMORY_H_

#include <napi.h>

#include "device/shared_memory.h"

namespace autoglm::binding {

// Sets `shared` of the object, a SharedSegment of native/shared-memory.ts, and returns the memory
// of the segment, which JavaScript frees.
Napi::ArrayBuffer MakeShared(Napi::Env env, SharedSegment segment, Napi::Object& object);

// Implements limitSharing(maxBytes).
void LimitSharing(const Napi::CallbackInfo& info);

// Implements sharedBytes(): returns the bytes that this environment shares.
Napi::Value SharedBytes(const Napi::CallbackInfo& info);

// Implements shareBytes(bytes): returns {bytes, shared}.
Napi::Value ShareBytes(const Napi::CallbackInfo& info);

// Implements mapShared(place): returns the bytes of another process.
Napi::Value MapShared(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_SHARED_MEMORY_H_
