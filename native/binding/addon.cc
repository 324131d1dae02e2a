#include <napi.h>

#include "binding/addon_data.h"
#include "binding/decoder_object.h"
#include "binding/encoder_object.h"
#include "binding/grammar_objects.h"
#include "binding/image_functions.h"
#include "binding/machine.h"
#include "binding/shared_memory.h"

namespace autoglm::binding {
namespace {

// Implements setErrorClass(EngineError), which native/addon.ts calls once before anything else.
void SetErrorClass(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) {
    Napi::TypeError::New(info.Env(), "expected a class").ThrowAsJavaScriptException();
    return;
  }
  DataOf(info.Env()).error_class = Napi::Persistent(info[0].As<Napi::Function>());
}

Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  AddonData* data = new AddonData;
  data->decoder_class = Napi::Persistent(DecoderObject::Define(env));
  data->encoder_class = Napi::Persistent(EncoderObject::Define(env));
  data->grammar_class = Napi::Persistent(GrammarObject::Define(env));
  data->matcher_class = Napi::Persistent(MatcherObject::Define(env));
  env.SetInstanceData(data);  // owned by the environment from here on
  exports.Set("setErrorClass", Napi::Function::New<SetErrorClass>(env));
  exports.Set("devices", Napi::Function::New<Devices>(env));
  exports.Set("gpuRefusal", Napi::Function::New<GpuRefusal>(env));
  exports.Set("cpuFeatures", Napi::Function::New<CpuFeatures>(env));
  exports.Set("loadDecoder", Napi::Function::New<LoadDecoder>(env));
  exports.Set("loadEncoder", Napi::Function::New<LoadEncoder>(env));
  exports.Set("resizeImage", Napi::Function::New<ResizeImage>(env));
  exports.Set("limitSharing", Napi::Function::New<LimitSharing>(env));
  exports.Set("sharedBytes", Napi::Function::New<SharedBytes>(env));
  exports.Set("shareBytes", Napi::Function::New<ShareBytes>(env));
  exports.Set("mapShared", Napi::Function::New<MapShared>(env));
  exports.Set("TokenTrie", TokenTrieObject::Define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(autoglm, Initialise)

}  // namespace autoglm::binding
