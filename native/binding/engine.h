#ifndef AUTOGLM_BINDING_ENGINE_H_
#define AUTOGLM_BINDING_ENGINE_H_

#include <napi.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/status.h"

namespace autoglm::binding {

// A piece of work with its promise. It is made and delivered on the JavaScript thread; Run uses no
// JavaScript value; the engine's thread calls it.
class Job {
 public:
  explicit Job(Napi::Env env) : deferred_(env) {}
  virtual ~Job() = default;

  virtual Status Run() = 0;
  // Returns the promise's value, after Run succeeded.
  virtual Napi::Value Value(Napi::Env env) = 0;
  // Is called after the promise was rejected.
  virtual void Rejected() {}

  Napi::Promise promise() const { return deferred_.Promise(); }
  // Time that the engine's thread waited for this job since it ended the one before, microseconds.
  int64_t idle_us() const { return idle_us_; }
  // Keeps the object whose method was called until the promise is settled. If the object were
  // collected earlier, its engine would close.
  void KeepAlive(const Napi::Value& object) {
    owner_ = Napi::Persistent(object.As<Napi::Object>());
  }

 private:
  friend class Engine;

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference owner_;
  Status status_;
  int64_t idle_us_ = 0;
};

// One thread that owns a model and runs its jobs in order, with one function that delivers their
// results to JavaScript.
//
// Closing happens in one place and one order: the flag `closing_` is set and the thread woken; the
// thread lets the running job end (early, if it can be interrupted), refuses the waiting ones,
// frees the model and releases the delivery function; when the last result is delivered, that
// function's finaliser joins the thread. None of these steps waits for JavaScript: the delivery
// queue has no bound, and the number of jobs has one. When the environment ends first, its clean-up
// hook sets the flag and joins the thread there.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine() = default;
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts the thread. This and the following functions are called on the JavaScript thread.
  void Start(Napi::Env env, const char* name);
  // Queues a job and returns its promise, which is rejected at once if the engine is closing.
  Napi::Promise Submit(Napi::Env env, std::unique_ptr<Job> job);
  // Closes the engine; the promise resolves when thread and memory are gone.
  Napi::Promise Close(Napi::Env env);
  // Closes without a promise, for an engine whose JavaScript object was collected.
  void Abandon();
  bool closing() const { return is_closing_; }
  // Tells the garbage collector how much memory the engine's object keeps.
  void ReportMemory(Napi::Env env, int64_t bytes);

 protected:
  // Frees the model. The engine's thread calls it as its last work.
  virtual void FreeModel() = 0;
  // Asks a running job that can take long to end early. Called on the JavaScript thread, when
  // closing.
  virtual void Interrupt() {}

 private:
  static void Deliver(Napi::Env env, Napi::Function, Engine* engine, Job* job);
  using Delivery = Napi::TypedThreadSafeFunction<Engine, Job, Deliver>;

  void RunThread();
  void Stop();
  void Finalise(Napi::Env env);
  void CountPending(Napi::Env env, int change);

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;  // guarded by mutex_
  bool closing_ = false;                   // guarded by mutex_
  Delivery delivery_;

  // The following members are used by the JavaScript thread alone.
  bool is_closing_ = false;
  bool env_ended_ = false;
  int64_t reported_bytes_ = 0;
  int num_pending_ = 0;  // promises not settled; if there are any, the process stays
  std::optional<Napi::Promise::Deferred> closed_;
  std::optional<Napi::Env::CleanupHook<void (*)(Engine*), Engine>> cleanup_hook_;
};

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_ENGINE_H_
