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
  // Made on the JavaScript thread for an item that is about to be submitted; set when nobody wants
  // the item any more, or the engine closes.
  std::shared_ptr<CancelFlag> MakeCancelFlag();
  // Has the engine itself cancelled its items? Asked by its thread.
  bool IsInterrupted() const { return interrupted_; }

  std::unique_ptr<Encoder> encoder;  // of the engine's thread; set by the loading job
  // Set by the loading job, then read by the JavaScript thread.
  std::shared_ptr<const MediaPreprocessor> preprocessor;

 protected:
  void FreeModel() override { encoder.reset(); }
  void Interrupt() override;

 private:
  std::atomic<bool> interrupted_{false};
  std::vector<std::weak_ptr<CancelFlag>> flags_;  // of items that may still be running
};

// The JavaScript object of a loaded encoder: plan(facts), encode(items), trace(item), close().
class EncoderObject final : public Napi::ObjectWrap<EncoderObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Constructed by the loading job only, with an external that holds the engine.
  explicit EncoderObject(const Napi::CallbackInfo& info);
  ~EncoderObject() override;

 private:
  Napi::Value Plan(const Napi::CallbackInfo& info);
  Napi::Value Encode(const Napi::CallbackInfo& info);
  Napi::Value Trace(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  std::shared_ptr<EncoderEngine> engine_;
};

// loadEncoder(options): a promise of {encoder, description}.
Napi::Value LoadEncoder(const Napi::CallbackInfo& info);

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODER_OBJECT_H_
