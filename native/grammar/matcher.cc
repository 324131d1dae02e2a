#include "grammar/matcher.h"

#include <algorithm>
#include <utility>

namespace autoglm {
namespace {

// Words of a mask that are joined in the time of a step.
constexpr size_t kWordsPerStep = 16;

}  // namespace

Matcher::Matcher(std::shared_ptr<Grammar> grammar)
    : grammar_(std::move(grammar)),
      frames_(grammar_->automaton()),
      walk_(grammar_->trie(), frames_) {
  frames_.Begin(current_);
}

bool Matcher::Accept(uint32_t token_id) {
  const std::span<const uint8_t> bytes = grammar_->trie().BytesOf(token_id);
  if (bytes.empty() || frames_.size() > kMaxFrames) return false;
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
  if (frames_.size() > max_frames_) DropUnusedFrames();
  return true;
}

void Matcher::DropUnusedFrames() {
  std::vector<StackSet*> sets = {&current_};
  for (StackSet& set : history_) sets.push_back(&set);
  frames_.KeepOnly(sets);
  known_.fill({});
  // So a frame is looked at a few times in its life, however many are in use.
  max_frames_ = std::max(kMinFrames, 2 * frames_.size());
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
  if (!current_.is_whole) {
    std::fill(words.begin(), words.end(), 0u);
    return;
  }
  // Within a text of JSON, for one, the stacks are the same after each token.
  for (const Known& known : known_) {
    if (known.words.empty() || known.stacks != current_.stacks) continue;
    std::copy(known.words.begin(), known.words.end(), words.begin());
    return;
  }
  std::fill(words.begin(), words.end(), 0u);
  Budget left;
  for (const Stack& stack : current_.stacks) {
    if (AddMask(stack, words, left)) continue;
    std::fill(words.begin(), words.end(), 0u);
    break;
  }
  Known& known = known_[next_known_++ % known_.size()];
  known.stacks = current_.stacks;
  known.words.assign(words.begin(), words.end());
}

bool Matcher::AddMask(const Stack& stack, std::span<uint32_t> words, Budget& left) {
  const uint64_t before = grammar_->num_steps();
  const LocalMask& local = grammar_->MaskOf(stack.state);
  const uint64_t computed = grammar_->num_steps() - before;
  const uint64_t taken = 1 + local.token_ids.size() + local.words.size() / kWordsPerStep;
  if (local.is_unknown || computed > left.to_compute || taken > left.to_join) return false;
  left.to_compute -= computed;
  left.to_join -= taken;
  const auto allow = [words](uint32_t id) { words[id / 32] |= 1u << (id % 32); };
  for (size_t i = 0; i < local.words.size(); ++i) words[i] |= local.words[i];
  for (const uint32_t id : local.token_ids) allow(id);
  if (stack.frame == kBottom || local.ends.empty()) return true;
  const uint64_t first_step = frames_.num_steps();
  bool is_whole = true;
  const size_t num_frames = frames_.size();
  frames_.Return(stack.frame, below_);
  const std::span<const TokenTrie::Node> nodes = grammar_->trie().nodes();
  for (const uint32_t node : local.ends) {
    is_whole = walk_.Run(node + 1, nodes[node].end, below_, first_step + left.to_join, allow,
                         [](uint32_t) {});
    if (!is_whole) break;
  }
  frames_.Truncate(num_frames);
  left.to_join -= std::min(left.to_join, frames_.num_steps() - first_step);
  return is_whole;
}

}  // namespace autoglm
