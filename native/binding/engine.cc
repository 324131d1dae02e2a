#include "binding/engine.h"

#include <chrono>
#include <utility>

#include "binding/addon_data.h"

namespace autoglm::binding {

void Engine::Start(Napi::Env env, const char* name) {
  // The JavaScript objects of the engine and its delivery function share the engine: the one that
  // lives longest frees it.
  auto* self = new std::shared_ptr<Engine>(shared_from_this());
  delivery_ = Delivery::New(
      env, name, 0, 1, this,
      [](Napi::Env finaliser_env, std::shared_ptr<Engine>* owner, Engine*) {
        (*owner)->Finalise(finaliser_env);
        delete owner;
      },
      self);
  delivery_.Unref(env);
  // The hook is registered after the delivery function's own hook, and so runs before it.
  cleanup_hook_ = env.AddCleanupHook(
      +[](Engine* engine) {
        engine->env_ended_ = true;
        engine->Stop();
        if (engine->thread_.joinable()) engine->thread_.join();
      },
      this);
  thread_ = std::thread([this] { RunThread(); });
}

Napi::Promise Engine::Submit(Napi::Env env, std::unique_ptr<Job> job) {
  const Napi::Promise promise = job->promise();
  if (is_closing_) {
    job->deferred_.Reject(MakeError(env, Status(Reason::kEngineClosed, "the engine is closed")));
    return promise;
  }
  CountPending(env, 1);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return promise;
}

Napi::Promise Engine::Close(Napi::Env env) {
  const Napi::Promise::Deferred deferred(env);
  if (is_closing_) {
    deferred.Resolve(env.Undefined());
    return deferred.Promise();
  }
  closed_ = deferred;
  CountPending(env, 1);
  Abandon();
  return deferred.Promise();
}

void Engine::Abandon() {
  is_closing_ = true;
  Stop();
}

void Engine::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  Interrupt();
  wake_.notify_one();
}

void Engine::RunThread() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point ended = Clock::now();
  while (true) {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (jobs_.empty()) break;
    std::unique_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    const bool refused = closing_;
    lock.unlock();
    job->idle_us_ =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - ended).count();
    job->status_ = refused ? Status(Reason::kEngineClosed, "the engine was closed") : job->Run();
    ended = Clock::now();
    delivery_.NonBlockingCall(job.release());
  }
  FreeModel();
  delivery_.Release();
}

// Settles the promise of a job. `env` is null if the environment ended before the result could be
// delivered.
void Engine::Deliver(Napi::Env env, Napi::Function, Engine* engine, Job* delivered) {
  const std::unique_ptr<Job> job(delivered);
  if (env == nullptr || engine->env_ended_) return;
  if (job->status_.ok()) {
    job->deferred_.Resolve(job->Value(env));
  } else {
    job->deferred_.Reject(MakeError(env, job->status_));
    job->Rejected();
  }
  engine->CountPending(env, -1);
}

void Engine::Finalise(Napi::Env env) {
  if (thread_.joinable()) thread_.join();
  if (env_ended_) return;
  cleanup_hook_->Remove(env);
  ReportMemory(env, 0);
  if (!closed_.has_value()) return;
  const Napi::HandleScope scope(env);
  closed_->Resolve(env.Undefined());
}

void Engine::ReportMemory(Napi::Env env, int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - reported_bytes_);
  reported_bytes_ = bytes;
}

void Engine::CountPending(Napi::Env env, int change) {
  num_pending_ += change;
  // A waiting promise keeps the process alive; an idle engine does not.
  if (change > 0 && num_pending_ == 1) delivery_.Ref(env);
  if (change < 0 && num_pending_ == 0) delivery_.Unref(env);
}

}  // namespace autoglm::binding
