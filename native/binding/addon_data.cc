#include "binding/addon_data.h"

namespace autoglm::binding {

AddonData& DataOf(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }

Napi::Value MakeError(Napi::Env env, const Status& status) {
  const Napi::String reason = Napi::String::New(env, ReasonName(status.reason()));
  const Napi::String message = Napi::String::New(env, status.message());
  return DataOf(env).error_class.New({reason, message});
}

}  // namespace autoglm::binding
