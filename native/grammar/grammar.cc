#include "grammar/grammar.h"

#include <algorithm>
#include <bit>
#include <ctime>
#include <utility>

namespace autoglm {

namespace {

// Returns the processor time of the thread, milliseconds: what others compute must not count.
int64_t ThreadMs() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1000000;
}

}  // namespace

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
      path_(size_t{trie_->max_depth()} + 1),
      bytes_(automaton_.transitions.size() * sizeof(int32_t)) {}

Status Grammar::Prepare(int64_t max_ms) {
  const int64_t start_ms = ThreadMs();
  const auto too_many = [] {
    return InvalidRequest("grammar: a text can be read in too many ways; make it less ambiguous");
  };
  frames_.Truncate(0);
  frames_.Begin(below_);
  if (!below_.is_whole) return too_many();
  for (uint32_t state = 0; state < automaton_.num_states(); ++state) {
    if (MaskOf(state).is_unknown) return too_many();
    if (bytes_ > kMaxPreparedBytes || ThreadMs() - start_ms > max_ms) break;
  }
  return Status();
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
  mask.words.resize(trie_->num_mask_words());
  size_t num_tokens = 0;
  const auto on_token = [&](uint32_t id) {
    mask.words[id / 32] |= 1u << (id % 32);
    ++num_tokens;
  };
  const auto on_end = [&](uint32_t node) { mask.ends.push_back(node); };

  // While a way takes bytes and does nothing else, its state is all that has to be known: most nodes
  // of the trie are visited here.
  const std::span<const TokenTrie::Node> nodes = trie_->nodes();
  const uint64_t max_steps = frames_.num_steps() + kMaxSteps;
  const uint64_t first_step = frames_.num_steps();
  path_[0] = state;
  for (uint32_t i = 0; i < nodes.size();) {
    ++num_steps_;
    const TokenTrie::Node& node = nodes[i];
    const uint32_t from = path_[node.depth];
    const int32_t next = automaton_.Next(from, node.byte);
    if (next == Automaton::kNone) {
      i = node.end;
      continue;
    }
    for (uint32_t token = node.first_token; token < node.end_token; ++token) {
      on_token(trie_->tokens()[token]);
    }
    if (frames_.IsPlain(static_cast<uint32_t>(next))) {
      path_[node.depth + 1] = static_cast<uint32_t>(next);
      ++i;
      continue;
    }
    frames_.Truncate(0);
    frames_.Advance({.stacks = {{from, kBottom}}, .reached_bottom = false, .is_whole = true}, node.byte, below_);
    if (below_.reached_bottom && node.end > i + 1) on_end(i);
    if (!walk_.Run(i + 1, node.end, below_, max_steps, on_token, on_end)) {
      mask = LocalMask();
      mask.is_unknown = true;
      break;
    }
    i = node.end;
  }
  num_steps_ += frames_.num_steps() - first_step;
  if (mask.is_unknown) return;

  mask.ends.shrink_to_fit();
  if (num_tokens > mask.words.size()) return;
  for (uint32_t word = 0; word < mask.words.size(); ++word) {
    for (uint32_t bits = mask.words[word]; bits != 0; bits &= bits - 1) {
      mask.token_ids.push_back(word * 32 + static_cast<uint32_t>(std::countr_zero(bits)));
    }
  }
  mask.words = {};
}

}  // namespace autoglm
