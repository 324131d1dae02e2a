#include "grammar/matcher.h"

#include <algorithm>
#include <utility>

namespace autoglm {

Matcher::Matcher(std::shared_ptr<Grammar> grammar)
    : grammar_(std::move(grammar)),
      frames_(grammar_->automaton()),
      walk_(grammar_->trie(), frames_) {
  frames_.Begin(current_);
}

bool Matcher::Accept(uint32_t token_id) {
  const std::span<const uint8_t> bytes = grammar_->trie().BytesOf(token_id);
  if (bytes.empty()) return false;
  StackSet before = current_;
  const size_t num_frames = frames_.size();
  for (const uint8_t byte : bytes) {
    frames_.Advance(current_, byte, scratch_);
    std::swap(current_, scratch_);
    if (!current_.empty()) continue;
    current_ = std::move(before);
    frames_.Truncate(num_frames);
    return false;
  }
  history_.push_back(std::move(before));
  if (history_.size() > kMaxRollback) history_.pop_front();
  return true;
}

bool Matcher::RollBack(size_t num_tokens) {
  if (num_tokens > history_.size()) return false;
  if (num_tokens == 0) return true;
  const auto from = history_.end() - static_cast<std::ptrdiff_t>(num_tokens);
  current_ = std::move(*from);
  history_.erase(from, history_.end());
  return true;
}

void Matcher::FillMask(std::span<uint32_t> words) {
  // Within a text of JSON, for one, the stacks are the same after each token.
  for (const Known& known : known_) {
    if (known.words.empty() || known.stacks != current_.stacks) continue;
    std::copy(known.words.begin(), known.words.end(), words.begin());
    return;
  }
  std::fill(words.begin(), words.end(), 0u);
  for (const Stack& stack : current_.stacks) AddMask(stack, words);
  Known& known = known_[next_known_++ % known_.size()];
  known.stacks = current_.stacks;
  known.words.assign(words.begin(), words.end());
}

void Matcher::AddMask(const Stack& stack, std::span<uint32_t> words) {
  const LocalMask& local = grammar_->MaskOf(stack.state);
  const auto allow = [words](uint32_t id) { words[id / 32] |= 1u << (id % 32); };
  for (size_t i = 0; i < local.words.size(); ++i) words[i] |= local.words[i];
  for (const uint32_t id : local.token_ids) allow(id);
  if (stack.frame == kBottom || local.ends.empty()) return;
  const size_t num_frames = frames_.size();
  frames_.Return(stack.frame, below_);
  const std::span<const TokenTrie::Node> nodes = grammar_->trie().nodes();
  for (const uint32_t node : local.ends) {
    walk_.Run(node + 1, nodes[node].end, below_, allow, [](uint32_t) {});
  }
  frames_.Truncate(num_frames);
}

}  // namespace autoglm
