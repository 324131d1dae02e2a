#ifndef AUTOGLM_BINDING_GRAMMAR_OBJECTS_H_
#define AUTOGLM_BINDING_GRAMMAR_OBJECTS_H_

#include <napi.h>

#include <memory>

#include "grammar/grammar.h"
#include "grammar/matcher.h"
#include "grammar/token_trie.h"

namespace autoglm::binding {

// The JavaScript object of a vocabulary: compile(automaton).
class TokenTrieObject final : public Napi::ObjectWrap<TokenTrieObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Takes {bytes, starts, numLogits}.
  explicit TokenTrieObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value Compile(const Napi::CallbackInfo& info);

  std::shared_ptr<const TokenTrie> trie_;
};

// The JavaScript object of a grammar: createMatcher(), numBytes.
class GrammarObject final : public Napi::ObjectWrap<GrammarObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Takes an external that holds the grammar; only compile calls it.
  explicit GrammarObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value CreateMatcher(const Napi::CallbackInfo& info);
  Napi::Value NumBytes(const Napi::CallbackInfo& info);

  std::shared_ptr<Grammar> grammar_;
};

// The JavaScript object of a matcher: accept(tokenId), rollBack(numTokens), fillMask(words),
// isComplete.
class MatcherObject final : public Napi::ObjectWrap<MatcherObject> {
 public:
  static Napi::Function Define(Napi::Env env);

  // Takes an external that holds the grammar; only createMatcher calls it.
  explicit MatcherObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value Accept(const Napi::CallbackInfo& info);
  Napi::Value RollBack(const Napi::CallbackInfo& info);
  Napi::Value FillMask(const Napi::CallbackInfo& info);
  Napi::Value IsComplete(const Napi::CallbackInfo& info);

  std::unique_ptr<Matcher> matcher_;
  size_t num_words_ = 0;
};

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_GRAMMAR_OBJECTS_H_
