#ifndef AUTOGLM_BINDING_ENCODE_JOBS_H_
#define AUTOGLM_BINDING_ENCODE_JOBS_H_

#include <napi.h>

#include <memory>
#include <vector>

#include "binding/arrays.h"
#include "binding/encoder_object.h"
#include "binding/engine.h"

namespace autoglm::binding {

// Items that arrived in one call, shared by their jobs: the first job computes all of them, and
// those after it find their results. Each item is delivered on its own.
class EncodeBatch {
 public:
  explicit EncodeBatch(std::shared_ptr<EncoderEngine> engine) : engine_(std::move(engine)) {}

  // On the JavaScript thread, before the batch's first job is submitted. Returns the item's index.
  size_t Add(const MediaItem& item);

  // On the engine's thread, in the order of the indices.
  EncodedItem Take(size_t index);

 private:
  const std::shared_ptr<EncoderEngine> engine_;
  std::vector<MediaItem> items_;
  std::vector<EncodedItem> results_;  // of all items, or empty before the first job has run
};

// One item: resolves with an EncodedItem of native/encoder.ts, or null where it was cancelled.
class EncodeJob final : public Job {
 public:
  EncodeJob(Napi::Env env, std::shared_ptr<EncoderEngine> engine)
      : Job(env), engine_(std::move(engine)), cancelled_(engine_->MakeCancelFlag()) {}

  // Adds the item to the batch; refuses one that is no media item.
  Status Read(const Napi::Value& value, std::shared_ptr<EncodeBatch> batch);
  const std::shared_ptr<CancelFlag>& cancelled() const { return cancelled_; }

  Status Run() override;
  Napi::Value Value(Napi::Env env) override;

 private:
  const std::shared_ptr<EncoderEngine> engine_;
  const std::shared_ptr<CancelFlag> cancelled_;
  std::shared_ptr<EncodeBatch> batch_;
  size_t index_ = 0;  // within the batch
  EncodedItem encoded_;
  KeptArrays kept_;
};

// One item alone, with what its stages gave.
class EncoderTraceJob final : public Job {
 public:
  EncoderTraceJob(Napi::Env env, std::shared_ptr<EncoderEngine> engine)
      : Job(env), engine_(std::move(engine)), cancelled_(engine_->MakeCancelFlag()) {}

  Status Read(const Napi::Value& value);

  Status Run() override;
  Napi::Value Value(Napi::Env env) override;

 private:
  const std::shared_ptr<EncoderEngine> engine_;
  const std::shared_ptr<CancelFlag> cancelled_;
  MediaItem item_;
  EncoderTrace trace_;
  KeptArrays kept_;
};

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODE_JOBS_H_
