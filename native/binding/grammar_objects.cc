#include "binding/grammar_objects.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binding/addon_data.h"
#include "binding/object_reader.h"
#include "binding/refusal.h"

namespace autoglm::binding {
namespace {

// Time for which masks are computed before a grammar is used.
constexpr int64_t kMaxPrepareMs = 1000;

using GrammarExternal = Napi::External<std::shared_ptr<Grammar>>;

Napi::Value Throw(Napi::Env env, const Status& status) {
  if (!env.IsExceptionPending()) {
    Napi::Error(env, MakeError(env, status)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

std::vector<uint8_t> CopyBytes(const ObjectReader& object, const char* name) {
  const std::optional<Napi::Uint8Array> bytes = object.Bytes(name);
  if (!bytes.has_value()) return {};
  return std::vector<uint8_t>(bytes->Data(), bytes->Data() + bytes->ByteLength());
}

std::shared_ptr<const TokenTrie> ReadTrie(const ObjectReader& object, Status& status) {
  const std::vector<uint8_t> bytes = CopyBytes(object, "bytes");
  const std::vector<uint32_t> starts = object.Uint32s("starts");
  const uint32_t num_logits = object.Uint32("numLogits");
  if (!status.ok()) return nullptr;
  if (starts.empty() || !std::is_sorted(starts.begin(), starts.end()) ||
      starts.back() > bytes.size() || starts.size() - 1 > num_logits) {
    status = InvalidRequest("vocabulary: expected ascending starts within bytes, and numLogits");
    return nullptr;
  }
  return std::make_shared<const TokenTrie>(bytes, starts, num_logits);
}

Automaton ReadAutomaton(const ObjectReader& object, Status& status) {
  Automaton automaton;
  automaton.start = object.Uint32("start");
  automaton.num_classes = object.Uint32("numClasses");
  const std::vector<uint8_t> class_of = CopyBytes(object, "classOf");
  automaton.transitions = object.Int32s("transitions");
  automaton.is_final = CopyBytes(object, "isFinal");
  automaton.call_starts = object.Uint32s("callStarts");
  const std::vector<uint32_t> calls = object.Uint32s("calls");
  if (!status.ok()) return automaton;
  if (class_of.size() != automaton.class_of.size() || calls.size() % 2 != 0) {
    status = InvalidRequest("grammar: expected 256 classes and pairs of calls");
    return automaton;
  }
  std::copy(class_of.begin(), class_of.end(), automaton.class_of.begin());
  for (size_t i = 0; i < calls.size(); i += 2) {
    automaton.calls.push_back({.callee = calls[i], .target = calls[i + 1]});
  }
  return automaton;
}

class CompileWorker final : public Napi::AsyncWorker {
 public:
  CompileWorker(Napi::Env env, Automaton automaton, std::shared_ptr<const TokenTrie> trie)
      : Napi::AsyncWorker(env),
        deferred_(env),
        automaton_(std::move(automaton)),
        trie_(std::move(trie)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    status_ = CheckAutomaton(automaton_);
    if (!status_.ok()) return;
    grammar_ = std::make_shared<Grammar>(std::move(automaton_), std::move(trie_));
    status_ = grammar_->Prepare(kMaxPrepareMs);
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (!status_.ok()) {
      deferred_.Reject(MakeError(Env(), status_));
      return;
    }
    deferred_.Resolve(DataOf(Env()).grammar_class.New({GrammarExternal::New(Env(), &grammar_)}));
  }

 private:
  const Napi::Promise::Deferred deferred_;
  Automaton automaton_;
  std::shared_ptr<const TokenTrie> trie_;
  std::shared_ptr<Grammar> grammar_;
  Status status_;
};

}  // namespace

Napi::Function TokenTrieObject::Define(Napi::Env env) {
  return DefineClass(env, "TokenTrie", {InstanceMethod<&TokenTrieObject::Compile>("compile")});
}

TokenTrieObject::TokenTrieObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TokenTrieObject>(info) {
  Status status;
  trie_ = ReadTrie(ObjectReader(info[0], "vocabulary", status), status);
  if (!status.ok()) Throw(info.Env(), status);
}

Napi::Value TokenTrieObject::Compile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Status status;
  Automaton automaton = ReadAutomaton(ObjectReader(info[0], "grammar", status), status);
  if (!status.ok() || env.IsExceptionPending()) return RefuseRead(env, status);
  auto* worker = new CompileWorker(env, std::move(automaton), trie_);  // deletes itself
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Function GrammarObject::Define(Napi::Env env) {
  return DefineClass(env, "Grammar",
                     {InstanceMethod<&GrammarObject::CreateMatcher>("createMatcher"),
                      InstanceAccessor<&GrammarObject::NumBytes>("numBytes")});
}

GrammarObject::GrammarObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<GrammarObject>(info) {
  if (!info[0].IsExternal()) {
    Throw(info.Env(), InvalidRequest("a grammar is made by compile"));
    return;
  }
  grammar_ = *info[0].As<GrammarExternal>().Data();
}

Napi::Value GrammarObject::CreateMatcher(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return DataOf(env).matcher_class.New({GrammarExternal::New(env, &grammar_)});
}

Napi::Value GrammarObject::NumBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(grammar_->bytes()));
}

Napi::Function MatcherObject::Define(Napi::Env env) {
  return DefineClass(env, "Matcher",
                     {InstanceMethod<&MatcherObject::Accept>("accept"),
                      InstanceMethod<&MatcherObject::RollBack>("rollBack"),
                      InstanceMethod<&MatcherObject::FillMask>("fillMask"),
                      InstanceAccessor<&MatcherObject::IsComplete>("isComplete")});
}

MatcherObject::MatcherObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MatcherObject>(info) {
  if (!info[0].IsExternal()) {
    Throw(info.Env(), InvalidRequest("a matcher is made by createMatcher"));
    return;
  }
  const std::shared_ptr<Grammar>& grammar = *info[0].As<GrammarExternal>().Data();
  num_words_ = grammar->trie().num_mask_words();
  matcher_ = std::make_unique<Matcher>(grammar);
}

Napi::Value MatcherObject::Accept(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsNumber()) return Throw(env, InvalidRequest("expected a token id"));
  return Napi::Boolean::New(env, matcher_->Accept(info[0].As<Napi::Number>().Uint32Value()));
}

Napi::Value MatcherObject::RollBack(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsNumber()) return Throw(env, InvalidRequest("expected a number of tokens"));
  return Napi::Boolean::New(env, matcher_->RollBack(info[0].As<Napi::Number>().Uint32Value()));
}

Napi::Value MatcherObject::FillMask(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array ||
      info[0].As<Napi::TypedArray>().ElementLength() != num_words_) {
    return Throw(env, InvalidRequest("expected a Uint32Array of " + std::to_string(num_words_)));
  }
  Napi::Uint32Array words = info[0].As<Napi::Uint32Array>();
  matcher_->FillMask({words.Data(), num_words_});
  return env.Undefined();
}

Napi::Value MatcherObject::IsComplete(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), matcher_->is_complete());
}

}  // namespace autoglm::binding
