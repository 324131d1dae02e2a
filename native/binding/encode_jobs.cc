#include "binding/encode_jobs.h"

#include <utility>

#include "binding/encoder_values.h"

namespace autoglm::binding {
namespace {

// Returns the status that settles an item's promise. A cancelled item is no refusal, unless the
// closing engine cancelled it.
Status StatusOf(const EncodedItem& encoded, const EncoderEngine& engine) {
  if (encoded.cancelled && engine.interrupted()) {
    return Status(Reason::kEngineClosed, "the engine was closed");
  }
  return encoded.status;
}

}  // namespace

size_t EncodeBatch::Add(const MediaItem& item) {
  items_.push_back(item);
  return items_.size() - 1;
}

EncodedItem EncodeBatch::Take(size_t index) {
  if (results_.empty()) results_ = engine_->encoder->Encode(items_);
  return std::move(results_[index]);
}

Status EncodeJob::Read(const Napi::Value& value, std::shared_ptr<EncodeBatch> batch) {
  Status status;
  MediaItem item = ReadMediaItem(ObjectReader(value, "item", status), kept_, status);
  if (!status.ok() || value.Env().IsExceptionPending()) return status;
  item.cancelled = cancelled_.get();
  batch_ = std::move(batch);
  index_ = batch_->Add(item);
  return status;
}

Status EncodeJob::Run() {
  encoded_ = batch_->Take(index_);
  return StatusOf(encoded_, *engine_);
}

Napi::Value EncodeJob::Value(Napi::Env env) {
  if (encoded_.cancelled) return env.Null();
  return MakeEncodedItem(env, encoded_);
}

Status EncoderTraceJob::Read(const Napi::Value& value) {
  Status status;
  item_ = ReadMediaItem(ObjectReader(value, "item", status), kept_, status);
  item_.cancelled = cancelled_.get();
  return status;
}

Status EncoderTraceJob::Run() {
  trace_ = engine_->encoder->Trace(item_);
  return StatusOf(trace_.encoded, *engine_);
}

Napi::Value EncoderTraceJob::Value(Napi::Env env) { return MakeEncoderTrace(env, trace_); }

Status ReadRowsJob::Read(const Napi::Value& value) {
  Status status;
  const ObjectReader place(value, "rows", status);
  pool_offset_ = place.ByteCount("poolOffset");
  num_rows_ = place.Uint32("numRows");
  return status;
}

Status ReadRowsJob::Run() { return engine_->encoder->ReadRows(pool_offset_, num_rows_, encoded_); }

Napi::Value ReadRowsJob::Value(Napi::Env env) { return MakeHostRows(env, encoded_); }

}  // namespace autoglm::binding
