#include "binding/encoder_object.h"

#include <utility>

#include "binding/addon_data.h"
#include "binding/device_options.h"
#include "binding/encode_jobs.h"
#include "binding/encoder_values.h"
#include "binding/refusal.h"
#include "kernels/open_device.h"

namespace autoglm::binding {
namespace {

constexpr napi_type_tag kEncoderTag = {0x3b7d92e1c0a84f56u, 0x9c1e5d2f7a6048b3u};

class LoadEncoderJob final : public Job {
 public:
  LoadEncoderJob(Napi::Env env, std::shared_ptr<EncoderEngine> engine, EncoderOptions options)
      : Job(env), engine_(std::move(engine)), options_(std::move(options)) {
    options_.cancelled = &engine_->interrupted();
    options_.progress = engine_->progress.get();
  }

  Status Run() override {
    Result<std::unique_ptr<Encoder>> loaded = Encoder::Load(options_, OpenDevice);
    if (!loaded.ok()) return loaded.status();
    engine_->encoder = std::move(loaded.value());
    engine_->preprocessor = engine_->encoder->preprocessor();
    description_ = engine_->encoder->description();
    return Status();
  }

  Napi::Value Value(Napi::Env env) override {
    const Napi::External<std::shared_ptr<EncoderEngine>> external =
        Napi::External<std::shared_ptr<EncoderEngine>>::New(env, &engine_);
    Napi::Object loaded = Napi::Object::New(env);
    loaded.Set("encoder", DataOf(env).encoder_class.New({external}));
    loaded.Set("description", MakeEncoderDescription(env, description_));
    return loaded;
  }

  void Rejected() override { engine_->Abandon(); }

 private:
  std::shared_ptr<EncoderEngine> engine_;
  EncoderOptions options_;
  EncoderDescription description_ = {};
};

bool IsEncoder(const Napi::CallbackInfo& info) {
  return info.This().IsObject() && info.This().As<Napi::Object>().CheckTypeTag(&kEncoderTag);
}

Napi::Value ForeignError(Napi::Env env) {
  return MakeError(env, InvalidRequest("not an encoder of this addon"));
}

// Reads the argument into a job and queues the job. Refuses a call on an object that is no encoder.
template <typename JobType>
Napi::Value SubmitJob(const Napi::CallbackInfo& info, std::shared_ptr<EncoderEngine> engine) {
  const Napi::Env env = info.Env();
  if (!IsEncoder(info)) return Rejection(env, ForeignError(env));
  std::unique_ptr<JobType> job = std::make_unique<JobType>(env, engine);
  const Status read = job->Read(info[0]);
  if (!read.ok() || env.IsExceptionPending()) return RefuseRead(env, read);
  job->KeepAlive(info.This());
  return engine->Submit(env, std::move(job));
}

// Makes the {promise, cancel()} of one item.
Napi::Object MakeTicket(Napi::Env env, const Napi::Promise& promise,
                        std::shared_ptr<CancelFlag> cancelled) {
  Napi::Object ticket = Napi::Object::New(env);
  ticket.Set("promise", promise);
  ticket.Set("cancel", Napi::Function::New(env, [flag = std::move(cancelled)](
                                                    const Napi::CallbackInfo&) { *flag = true; }));
  return ticket;
}

}  // namespace

std::shared_ptr<CancelFlag> EncoderEngine::MakeCancelFlag() {
  std::erase_if(flags_, [](const std::weak_ptr<CancelFlag>& flag) { return flag.expired(); });
  const std::shared_ptr<CancelFlag> flag = std::make_shared<CancelFlag>(false);
  flags_.push_back(flag);
  return flag;
}

void EncoderEngine::Interrupt() {
  interrupted_ = true;
  for (const std::weak_ptr<CancelFlag>& flag : flags_) {
    if (const std::shared_ptr<CancelFlag> live = flag.lock()) *live = true;
  }
}

Napi::Function EncoderObject::Define(Napi::Env env) {
  return DefineClass(env, "Encoder",
                     {InstanceMethod<&EncoderObject::Plan>("plan"),
                      InstanceMethod<&EncoderObject::Encode>("encode"),
                      InstanceMethod<&EncoderObject::ReadRows>("readRows"),
                      InstanceMethod<&EncoderObject::Trace>("trace"),
                      InstanceMethod<&EncoderObject::Close>("close")});
}

EncoderObject::EncoderObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<EncoderObject>(info) {
  if (!info[0].IsExternal()) {
    Napi::TypeError::New(info.Env(), "an encoder is made by loadEncoder")
        .ThrowAsJavaScriptException();
    return;
  }
  engine_ = *info[0].As<Napi::External<std::shared_ptr<EncoderEngine>>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kEncoderTag);
}

EncoderObject::~EncoderObject() {
  if (engine_ != nullptr && !engine_->closing()) engine_->Abandon();
}

Napi::Value EncoderObject::Plan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status = IsEncoder(info) ? Status() : InvalidRequest("not an encoder of this addon");
  if (status.ok() && engine_->closing()) {
    status = Status(Reason::kEngineClosed, "the engine is closed");
  }
  ItemPlan plan;
  if (status.ok()) {
    const ItemFacts facts = ReadItemFacts(ObjectReader(info[0], "facts", status), status);
    if (env.IsExceptionPending()) return Napi::Value();
    const Result<ItemPlan> planned =
        status.ok() ? engine_->preprocessor->Plan(facts) : Result<ItemPlan>(status);
    status = planned.status();
    if (planned.ok()) plan = planned.value();
  }
  if (status.ok()) return MakeItemPlan(env, plan);
  Napi::Error(env, MakeError(env, status)).ThrowAsJavaScriptException();
  return Napi::Value();
}

Napi::Value EncoderObject::Encode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!IsEncoder(info) || !info[0].IsArray()) {
    const Status status = InvalidRequest("expected an encoder of this addon and an array of items");
    Napi::Error(env, MakeError(env, status)).ThrowAsJavaScriptException();
    return Napi::Value();
  }
  const Napi::Array items = info[0].As<Napi::Array>();
  const Napi::Array tickets = Napi::Array::New(env, items.Length());
  const std::shared_ptr<EncodeBatch> batch = std::make_shared<EncodeBatch>(engine_);
  // The engine's thread reads the batch from the first submission on, so all items are added
  // before.
  std::vector<std::pair<uint32_t, std::unique_ptr<EncodeJob>>> jobs;
  for (uint32_t i = 0; i < items.Length(); ++i) {
    std::unique_ptr<EncodeJob> job = std::make_unique<EncodeJob>(env, engine_);
    const Status read = job->Read(items.Get(i), batch);
    if (read.ok() && !env.IsExceptionPending()) {
      jobs.emplace_back(i, std::move(job));
    } else {
      tickets.Set(i, MakeTicket(env, RefuseRead(env, read), job->cancelled()));
    }
  }
  for (auto& [index, job] : jobs) {
    const std::shared_ptr<CancelFlag> cancelled = job->cancelled();
    job->KeepAlive(info.This());
    tickets.Set(index, MakeTicket(env, engine_->Submit(env, std::move(job)), cancelled));
  }
  return tickets;
}

Napi::Value EncoderObject::ReadRows(const Napi::CallbackInfo& info) {
  return SubmitJob<ReadRowsJob>(info, engine_);
}

Napi::Value EncoderObject::Trace(const Napi::CallbackInfo& info) {
  return SubmitJob<EncoderTraceJob>(info, engine_);
}

Napi::Value EncoderObject::Close(const Napi::CallbackInfo& info) {
  if (!IsEncoder(info)) return Rejection(info.Env(), ForeignError(info.Env()));
  return engine_->Close(info.Env());
}

Napi::Value LoadEncoder(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status;
  EncoderOptions options = ReadEncoderOptions(ObjectReader(info[0], "options", status), status);
  if (options.min_shared_bytes > 0) options.sharing = DataOf(env).sharing;
  const std::shared_ptr<EncoderEngine> engine = std::make_shared<EncoderEngine>();
  Napi::Object ticket = Napi::Object::New(env);
  ticket.Set("progress", MakeProgressFunction(env, engine->progress));
  if (!status.ok() || env.IsExceptionPending()) {
    ticket.Set("promise", RefuseRead(env, status));
    return ticket;
  }
  engine->Start(env, "autoglm encoder");
  ticket.Set("promise",
             engine->Submit(env, std::make_unique<LoadEncoderJob>(env, engine, std::move(options))));
  return ticket;
}

}  // namespace autoglm::binding
