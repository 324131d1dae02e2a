#include "grammar/grammar.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace autoglm {

TrieWalk::TrieWalk(const TokenTrie& trie, StackFrames& frames)
    : trie_(trie),
      frames_(frames),
      sets_(size_t{trie.max_depth()} + 1),
      num_frames_(size_t{trie.max_depth()} + 1) {}

Grammar::Grammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(std::move(automaton)),
      trie_(std::move(trie)),
      classes_(ClassifyStates(automaton_, trie_->max_depth() + 1)),
      masks_(classes_.empty() ? 0 : 1 + *std::max_element(classes_.begin(), classes_.end())),
      frames_(automaton_),
      walk_(*trie_, frames_),
      bytes_(automaton_.transitions.size() * sizeof(int32_t)) {}

void Grammar::Prepare(int64_t max_ms) {
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t state = 0; state < automaton_.num_states(); ++state) {
    MaskOf(state);
    const auto spent = std::chrono::steady_clock::now() - start;
    if (bytes_ > kMaxPreparedBytes || spent > std::chrono::milliseconds(max_ms)) return;
  }
}

const LocalMask& Grammar::MaskOf(uint32_t state) {
  std::unique_ptr<LocalMask>& known = masks_[classes_[state]];
  if (known != nullptr) return *known;
  if (bytes_ > kMaxMaskBytes) {
    Compute(state, transient_);
    return transient_;
  }
  known = std::make_unique<LocalMask>();
  Compute(state, *known);
  bytes_ += known->bytes();
  return *known;
}

void Grammar::Compute(uint32_t state, LocalMask& mask) {
  mask = LocalMask();
  const StackSet start = {.stacks = {{state, kBottom}}, .reached_bottom = false};
  const uint32_t end = static_cast<uint32_t>(trie_->nodes().size());
  walk_.Run(
      0, end, start, [&mask](uint32_t id) { mask.token_ids.push_back(id); },
      [&mask](uint32_t node) { mask.ends.push_back(node); });
  if (mask.token_ids.size() > trie_->num_mask_words()) {
    mask.words.resize(trie_->num_mask_words());
    for (const uint32_t id : mask.token_ids) mask.words[id / 32] |= 1u << (id % 32);
    mask.token_ids = {};
  }
  mask.token_ids.shrink_to_fit();
  mask.ends.shrink_to_fit();
}

}  // namespace autoglm
