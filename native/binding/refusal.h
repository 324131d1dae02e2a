#ifndef AUTOGLM_BINDING_REFUSAL_H_
#define AUTOGLM_BINDING_REFUSAL_H_

#include <napi.h>

#include "base/status.h"

namespace autoglm::binding {

// Returns a promise that is rejected with this error.
Napi::Promise Rejection(Napi::Env env, const Napi::Value& error);

// Returns a promise that is rejected because an argument could not be read. If a getter of the
// object has thrown, the promise is rejected with its exception, which is then not pending.
Napi::Promise RefuseRead(Napi::Env env, const Status& status);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_REFUSAL_H_
