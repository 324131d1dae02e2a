#ifndef AUTOGLM_BINDING_DECODER_OBJECT_H_
#define AUTOGLM_BINDING_DECODER_OBJECT_H_

#include <napi.h>

#include <atomic>
#include <memory>

#include "binding/engine.h"
#include "model/decoder/decoder.h"

namespace autoglm::binding {

// A decoder and the thread that runs it.
class DecoderEngine final : public Engine {
 public:
  std::unique_ptr<Decoder> decoder;    // used by the engine's thread; set by the loading job
  std::atomic<bool> cancelled{false};  // ends a loading job early
  const std::shared_ptr<LoadProgress> progress = std::make_shared<LoadProgress>();

 protected:
  void FreeModel() override { decoder.reset(); }
  void Interrupt() override { cancelled.store(true, std::memory_order_relaxed); }
};

// The JavaScript object of a loaded decoder: execute(plan), openRowPool(pool), closeRowPool(number),
// copyRows(copy), trace(request), close().
class DecoderObject final : public Napi::ObjectWrap<DecoderObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Takes an external that holds the engine; only the loading job calls it.
  explicit DecoderObject(const Napi::CallbackInfo& info);
  ~DecoderObject() override;

 private:
  Napi::Value Execute(const Napi::CallbackInfo& info);
  Napi::Value OpenRowPool(const Napi::CallbackInfo& info);
  Napi::Value CloseRowPool(const Napi::CallbackInfo& info);
  Napi::Value CopyRows(const Napi::CallbackInfo& info);
  Napi::Value Trace(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  std::shared_ptr<DecoderEngine> engine_;
};

// Implements loadDecoder(options): returns {promise, progress}, a promise of {decoder, description}
// and a function that says how far it has come.
Napi::Value LoadDecoder(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_DECODER_OBJECT_H_
