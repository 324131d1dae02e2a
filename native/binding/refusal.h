#ifndef AUTOGLM_BINDING_REFUSAL_H_
#define AUTOGLM_BINDING_REFUSAL_H_

#include <napi.h>

#include "base/status.h"

namespace autoglm::binding {

// A promise that is rejected with this error.
Napi::Promise Rejection(Napi::Env env, const Napi::Value& error);

// A promise rejected for an argument that could not be read. A getter of the object may have
// thrown: its exception is the reason then, and is no longer pending.
Napi::Promise RefuseRead(Napi::Env env, const Status& status);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_REFUSAL_H_
