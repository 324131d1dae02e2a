#ifndef AUTOGLM_BINDING_ADDON_DATA_H_
#define AUTOGLM_BINDING_ADDON_DATA_H_

#include <napi.h>

#include <memory>

#include "base/status.h"
#include "device/shared_memory.h"

namespace autoglm::binding {

// State that the addon keeps for one JavaScript environment (the main thread, or a worker).
struct AddonData {
  Napi::FunctionReference error_class;    // EngineError of native/engine-error.ts
  Napi::FunctionReference decoder_class;  // DecoderObject
  Napi::FunctionReference encoder_class;  // EncoderObject
  Napi::FunctionReference grammar_class;  // GrammarObject
  Napi::FunctionReference matcher_class;  // MatcherObject
  // Of all that the environment shares; segments keep it until JavaScript has freed them.
  const std::shared_ptr<SharedMemoryBudget> sharing = std::make_shared<SharedMemoryBudget>();
};

AddonData& DataOf(Napi::Env env);

// Makes an EngineError with the status's reason and message.
Napi::Value MakeError(Napi::Env env, const Status& status);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ADDON_DATA_H_
