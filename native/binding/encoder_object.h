#ifndef AUTOGLM_BINDING_ENCODER_OBJECT_H_
#define AUTOGLM_BINDING_ENCODER_OBJECT_H_

#include <napi.h>

#include <atomic>
#include <memory>
#include <vector>

#include "binding/engine.h"
#include "model/encoder/encoder.h"

namespace autoglm::binding {

// An encoder and the thread that runs it.
class EncoderEngine final : public Engine {
 public:
  // Makes the flag of an item that is about to be submitted, on the JavaScript thread. The flag is
  // set when the item is cancelled or the engine closes.
  std::shared_ptr<CancelFlag> MakeCancelFlag();
  // Is true when the engine has cancelled its work because it closes. Read on its thread.
  const std::atomic<bool>& interrupted() const { return interrupted_; }

  std::unique_ptr<Encoder> encoder;  // used by the engine's thread; set by the loading job
  const std::shared_ptr<LoadProgress> progress = std::make_shared<LoadProgress>();
  // Set by the loading job, then read by the JavaScript thread.
  std::shared_ptr<const MediaPreprocessor> preprocessor;

 protected:
  void FreeModel() override { encoder.reset(); }
  void Interrupt() override;

 private:
  std::atomic<bool> interrupted_{false};
  std::vector<std::weak_ptr<CancelFlag>> flags_;  // of items that may still be running
};

// The JavaScript object of a loaded encoder: plan(facts), encode(items), readRows(place), trace(item),
// close().
class EncoderObject final : public Napi::ObjectWrap<EncoderObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Takes an external that holds the engine; only the loading job calls it.
  explicit EncoderObject(const Napi::CallbackInfo& info);
  ~EncoderObject() override;

 private:
  Napi::Value Plan(const Napi::CallbackInfo& info);
  Napi::Value Encode(const Napi::CallbackInfo& info);
  Napi::Value ReadRows(const Napi::CallbackInfo& info);
  Napi::Value Trace(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  std::shared_ptr<EncoderEngine> engine_;
};

// Implements loadEncoder(options): returns {promise, progress}, a promise of {encoder, description}
// and a function that says how far it has come.
Napi::Value LoadEncoder(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODER_OBJECT_H_
