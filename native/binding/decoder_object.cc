#include "binding/decoder_object.h"

#include <algorithm>
#include <utility>

#include "binding/addon_data.h"
#include "binding/decoder_values.h"
#include "binding/device_options.h"
#include "binding/object_reader.h"
#include "binding/refusal.h"
#include "binding/step_plan_values.h"
#include "kernels/open_device.h"

namespace autoglm::binding {
namespace {

constexpr napi_type_tag kDecoderTag = {0x8f0e6a5b1c2d4e3fu, 0xa7b1c9d2e4f60813u};

class LoadJob final : public Job {
 public:
  LoadJob(Napi::Env env, std::shared_ptr<DecoderEngine> engine, DecoderOptions options)
      : Job(env), engine_(std::move(engine)), options_(std::move(options)) {
    options_.cancelled = &engine_->cancelled;
    options_.progress = engine_->progress.get();
  }

  Status Run() override {
    Result<std::unique_ptr<Decoder>> loaded = Decoder::Load(options_, OpenDevice);
    if (!loaded.ok()) return loaded.status();
    engine_->decoder = std::move(loaded.value());
    description_ = engine_->decoder->description();
    return Status();
  }

  Napi::Value Value(Napi::Env env) override {
    const Napi::External<std::shared_ptr<DecoderEngine>> external =
        Napi::External<std::shared_ptr<DecoderEngine>>::New(env, &engine_);
    engine_->ReportMemory(
        env, static_cast<int64_t>(description_.weight_bytes + description_.kv_cache_bytes));
    Napi::Object loaded = Napi::Object::New(env);
    loaded.Set("decoder", DataOf(env).decoder_class.New({external}));
    loaded.Set("description", MakeDescription(env, description_));
    return loaded;
  }

  void Rejected() override { engine_->Abandon(); }

 private:
  std::shared_ptr<DecoderEngine> engine_;
  DecoderOptions options_;
  DecoderDescription description_ = {};
};

class ExecuteJob final : public Job {
 public:
  ExecuteJob(Napi::Env env, DecoderEngine* engine) : Job(env), engine_(engine) {}

  Status Read(const Napi::Value& value) {
    Status status;
    plan_ = ReadStepPlan(ObjectReader(value, "step plan", status), kept_);
    return status;
  }
  Status Run() override { return engine_->decoder->Execute(std::move(plan_), result_); }
  Napi::Value Value(Napi::Env env) override { return MakeStepResult(env, result_, idle_us()); }

 private:
  DecoderEngine* const engine_;
  StepPlan plan_;
  StepResult result_;
  KeptArrays kept_;
};

class OpenRowPoolJob final : public Job {
 public:
  OpenRowPoolJob(Napi::Env env, DecoderEngine* engine) : Job(env), engine_(engine) {}

  Status Read(const Napi::Value& value) {
    Status status;
    const ObjectReader pool(value, "row pool", status);
    bytes_ = pool.ByteCount("numBytes");
    const std::optional<Napi::Uint8Array> handle = pool.Bytes("handle");
    if (!status.ok()) return status;
    if (handle->ByteLength() != handle_.size() || bytes_ == 0) {
      return InvalidRequest("row pool: expected numBytes above 0 and a handle of 64 bytes");
    }
    std::copy_n(handle->Data(), handle_.size(), handle_.begin());
    return status;
  }
  Status Run() override {
    const Result<int64_t> opened = engine_->decoder->OpenRowPool(handle_, bytes_);
    if (opened.ok()) number_ = opened.value();
    return opened.status();
  }
  Napi::Value Value(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(number_));
  }

 private:
  DecoderEngine* const engine_;
  MemoryHandle handle_ = {};
  size_t bytes_ = 0;
  int64_t number_ = 0;
};

class CloseRowPoolJob final : public Job {
 public:
  CloseRowPoolJob(Napi::Env env, DecoderEngine* engine) : Job(env), engine_(engine) {}

  Status Read(const Napi::Value& value) {
    if (!value.IsNumber()) return InvalidRequest("expected the number of a row pool");
    number_ = value.As<Napi::Number>().Int64Value();
    return Status();
  }
  Status Run() override {
    engine_->decoder->CloseRowPool(number_);
    return Status();
  }
  Napi::Value Value(Napi::Env env) override { return env.Undefined(); }

 private:
  DecoderEngine* const engine_;
  int64_t number_ = 0;
};

class CopyRowsJob final : public Job {
 public:
  CopyRowsJob(Napi::Env env, DecoderEngine* engine) : Job(env), engine_(engine) {}

  Status Read(const Napi::Value& value) {
    Status status;
    const ObjectReader copy(value, "copy of rows", status);
    copy_ = {.source = copy.Integer("source"),
             .source_offset = copy.ByteCount("sourceOffset"),
             .target_offset = copy.ByteCount("targetOffset"),
             .bytes = copy.ByteCount("numBytes")};
    return status;
  }
  Status Run() override { return engine_->decoder->CopyRows(copy_); }
  Napi::Value Value(Napi::Env env) override { return env.Undefined(); }

 private:
  DecoderEngine* const engine_;
  RowCopy copy_;
};

class TraceJob final : public Job {
 public:
  TraceJob(Napi::Env env, DecoderEngine* engine) : Job(env), engine_(engine) {}

  Status Read(const Napi::Value& value) {
    Status status;
    request_ = ReadTraceRequest(ObjectReader(value, "trace request", status), kept_);
    return status;
  }
  Status Run() override { return engine_->decoder->Trace(request_, trace_); }
  Napi::Value Value(Napi::Env env) override { return MakeTrace(env, trace_); }

 private:
  DecoderEngine* const engine_;
  TraceRequest request_;
  DecoderTrace trace_;
  KeptArrays kept_;
};

bool IsDecoder(const Napi::CallbackInfo& info) {
  return info.This().IsObject() && info.This().As<Napi::Object>().CheckTypeTag(&kDecoderTag);
}

Napi::Value RefuseForeign(Napi::Env env) {
  return Rejection(env, MakeError(env, InvalidRequest("not a decoder of this addon")));
}

// Reads the argument into a job and queues the job. Refuses a call on an object that is no decoder.
template <typename JobType>
Napi::Value SubmitJob(const Napi::CallbackInfo& info, DecoderEngine* engine) {
  const Napi::Env env = info.Env();
  if (!IsDecoder(info)) return RefuseForeign(env);
  std::unique_ptr<JobType> job = std::make_unique<JobType>(env, engine);
  const Status read = job->Read(info[0]);
  if (!read.ok() || env.IsExceptionPending()) return RefuseRead(env, read);
  job->KeepAlive(info.This());
  return engine->Submit(env, std::move(job));
}

}  // namespace

Napi::Function DecoderObject::Define(Napi::Env env) {
  return DefineClass(env, "Decoder",
                     {InstanceMethod<&DecoderObject::Execute>("execute"),
                      InstanceMethod<&DecoderObject::OpenRowPool>("openRowPool"),
                      InstanceMethod<&DecoderObject::CloseRowPool>("closeRowPool"),
                      InstanceMethod<&DecoderObject::CopyRows>("copyRows"),
                      InstanceMethod<&DecoderObject::Trace>("trace"),
                      InstanceMethod<&DecoderObject::Close>("close")});
}

DecoderObject::DecoderObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DecoderObject>(info) {
  if (!info[0].IsExternal()) {
    Napi::TypeError::New(info.Env(), "a decoder is made by loadDecoder")
        .ThrowAsJavaScriptException();
    return;
  }
  engine_ = *info[0].As<Napi::External<std::shared_ptr<DecoderEngine>>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kDecoderTag);
}

DecoderObject::~DecoderObject() {
  if (engine_ != nullptr && !engine_->closing()) engine_->Abandon();
}

Napi::Value DecoderObject::Execute(const Napi::CallbackInfo& info) {
  return SubmitJob<ExecuteJob>(info, engine_.get());
}

Napi::Value DecoderObject::OpenRowPool(const Napi::CallbackInfo& info) {
  return SubmitJob<OpenRowPoolJob>(info, engine_.get());
}

Napi::Value DecoderObject::CloseRowPool(const Napi::CallbackInfo& info) {
  return SubmitJob<CloseRowPoolJob>(info, engine_.get());
}

Napi::Value DecoderObject::CopyRows(const Napi::CallbackInfo& info) {
  return SubmitJob<CopyRowsJob>(info, engine_.get());
}

Napi::Value DecoderObject::Trace(const Napi::CallbackInfo& info) {
  return SubmitJob<TraceJob>(info, engine_.get());
}

Napi::Value DecoderObject::Close(const Napi::CallbackInfo& info) {
  if (!IsDecoder(info)) return RefuseForeign(info.Env());
  return engine_->Close(info.Env());
}

Napi::Value LoadDecoder(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status;
  DecoderOptions options = ReadDecoderOptions(ObjectReader(info[0], "options", status), status);
  const std::shared_ptr<DecoderEngine> engine = std::make_shared<DecoderEngine>();
  Napi::Object ticket = Napi::Object::New(env);
  ticket.Set("progress", MakeProgressFunction(env, engine->progress));
  if (!status.ok() || env.IsExceptionPending()) {
    ticket.Set("promise", RefuseRead(env, status));
    return ticket;
  }
  engine->Start(env, "autoglm decoder");
  ticket.Set("promise",
             engine->Submit(env, std::make_unique<LoadJob>(env, engine, std::move(options))));
  return ticket;
}

}  // namespace autoglm::binding
