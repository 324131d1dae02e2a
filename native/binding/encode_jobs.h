#ifndef AUTOGLM_BINDING_ENCODE_JOBS_H_
#define AUTOGLM_BINDING_ENCODE_JOBS_H_

#include <napi.h>

#include <memory>
#include <vector>

#include "binding/arrays.h"
#include "binding/encoder_object.h"
#include "binding/engine.h"

namespace autoglm::binding {

// Items that arrived in one call. Their jobs share the batch: the first job computes all items, and
// the later jobs take their results from it. Each item is delivered on its own.
class EncodeBatch {
 public:
  explicit EncodeBatch(std::shared_ptr<EncoderEngine> engine) : engine_(std::move(engine)) {}

  // Adds an item and returns its index. Called on the JavaScript thread, before the batch's first
  // job is submitted.
  size_t Add(const MediaItem& item);

  // Returns the result of an item. Called on the engine's thread, in the order of the indices.
  EncodedItem Take(size_t index);

 private:
  const std::shared_ptr<EncoderEngine> engine_;
  std::vector<MediaItem> items_;
  std::vector<EncodedItem> results_;  // one per item; empty before the first job has run
};

// Job of one item. Its promise resolves to an EncodedItem of native/encoder-contract.ts, or to null
// if the item was cancelled.
class EncodeJob final : public Job {
 public:
  EncodeJob(Napi::Env env, std::shared_ptr<EncoderEngine> engine)
      : Job(env), engine_(std::move(engine)), cancelled_(engine_->MakeCancelFlag()) {}

  // Adds the item to the batch; refuses a value that is no media item.
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

// Job that encodes one item alone and returns the values of its stages.
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

// Job that copies rows of the row pool to the host. Its promise resolves to a HostRows of
// native/encoder-contract.ts.
class ReadRowsJob final : public Job {
 public:
  ReadRowsJob(Napi::Env env, std::shared_ptr<EncoderEngine> engine)
      : Job(env), engine_(std::move(engine)) {}

  Status Read(const Napi::Value& value);

  Status Run() override;
  Napi::Value Value(Napi::Env env) override;

 private:
  const std::shared_ptr<EncoderEngine> engine_;
  size_t pool_offset_ = 0;
  int64_t num_rows_ = 0;
  EncodedItem encoded_;
};

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENCODE_JOBS_H_
