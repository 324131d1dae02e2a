#include "binding/refusal.h"

#include "binding/addon_data.h"

namespace autoglm::binding {

Napi::Promise Rejection(Napi::Env env, const Napi::Value& error) {
  const Napi::Promise::Deferred deferred(env);
  deferred.Reject(error);
  return deferred.Promise();
}

Napi::Promise RefuseRead(Napi::Env env, const Status& status) {
  if (env.IsExceptionPending()) return Rejection(env, env.GetAndClearPendingException().Value());
  return Rejection(env, MakeError(env, status));
}

}  // namespace autoglm::binding
