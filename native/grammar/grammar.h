#ifndef AUTOGLM_GRAMMAR_GRAMMAR_H_
#define AUTOGLM_GRAMMAR_GRAMMAR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/stacks.h"
#include "grammar/token_trie.h"

namespace autoglm {

// What a state allows without regard to the stack below it.
struct LocalMask {
  // Tokens that are allowed whatever is below: a list, or a mask of all where the list is longer.
  std::vector<uint32_t> token_ids;
  std::vector<uint32_t> words;
  // Nodes of the trie at which the rule of the state ends, with other nodes below them.
  std::vector<uint32_t> ends;

  // True if there are too many ways to read the texts of tokens: nothing is known of them then.
  bool is_unknown = false;

  size_t bytes() const { return 4 * (token_ids.size() + words.size() + ends.size()); }
};

// A walk over a part of a trie by the sets of stacks along the way.
class TrieWalk {
 public:
  TrieWalk(const TokenTrie& trie, StackFrames& frames);

  // Visits the nodes from `first` to before `end` (siblings, with all below) as far as texts can go
  // on from `start`, a set that lasts. Calls on_token(id) for each token that is allowed, and
  // on_end(node) where the bottom has been reached with other nodes below. Breaks off, and returns
  // false, when the frames have taken `max_steps` steps in all, or a set is not whole.
  template <typename OnToken, typename OnEnd>
  bool Run(uint32_t first, uint32_t end, const StackSet& start, uint64_t max_steps,
           OnToken on_token, OnEnd on_end);

 private:
  const TokenTrie& trie_;
  StackFrames& frames_;
  std::vector<StackSet> sets_;       // by depth below the start
  std::vector<size_t> num_frames_;  // by depth: frames of the set
};

// A grammar for the tokens of a vocabulary. What the states allow is computed once, in Prepare or
// when it is first asked for; used by one thread at a time.
class Grammar {
 public:
  // `automaton` has passed CheckAutomaton.
  Grammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie);

  // Computes the masks of the states ahead of their use, as many as fit into kMaxPreparedBytes and
  // as a limit of processor time allows. Refuses a grammar of which a mask takes more than
  // kMaxSteps, or that has more ways to read a text than a set of stacks takes.
  Status Prepare(int64_t max_ms);
  const LocalMask& MaskOf(uint32_t state);

  const Automaton& automaton() const { return automaton_; }
  const TokenTrie& trie() const { return *trie_; }
  // Memory of masks and automaton.
  size_t bytes() const { return bytes_; }
  // Nodes of the trie and steps of stacks that all masks have taken so far.
  uint64_t num_steps() const { return num_steps_; }

  // Steps that the mask of a state may take, some 10 ms, once.
  static constexpr uint64_t kMaxSteps = 4'000'000;

 private:
  static constexpr size_t kMaxPreparedBytes = size_t{48} << 20;
  static constexpr size_t kMaxMaskBytes = size_t{96} << 20;

  void Compute(uint32_t state, LocalMask& mask);

  const Automaton automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  std::vector<uint32_t> classes_;                  // [num_states]: of states with equal masks
  std::vector<std::unique_ptr<LocalMask>> masks_;  // by class; null: not computed
  StackFrames frames_;
  TrieWalk walk_;
  std::vector<uint32_t> path_;  // states, by depth in the trie, while a mask is computed
  StackSet below_;              // stacks where that path ends
  LocalMask transient_;  // of a state whose mask finds no room
  size_t bytes_ = 0;
  uint64_t num_steps_ = 0;
};

template <typename OnToken, typename OnEnd>
bool TrieWalk::Run(uint32_t first, uint32_t end, const StackSet& start, uint64_t max_steps,
                   OnToken on_token, OnEnd on_end) {
  const std::span<const TokenTrie::Node> nodes = trie_.nodes();
  if (!start.is_whole) return false;
  if (first >= end) return true;
  const uint32_t base = nodes[first].depth;
  const size_t num_before = frames_.size();
  num_frames_[0] = num_before;
  bool is_whole = true;
  for (uint32_t i = first; i < end;) {
    if (frames_.num_steps() > max_steps) {
      is_whole = false;
      break;
    }
    const TokenTrie::Node& node = nodes[i];
    const uint32_t depth = node.depth - base;
    const StackSet& from = depth == 0 ? start : sets_[depth];
    StackSet& to = sets_[depth + 1];
    frames_.Truncate(num_frames_[depth]);
    frames_.Advance(from, node.byte, to);
    num_frames_[depth + 1] = frames_.size();
    if (!to.is_whole) {
      is_whole = false;
      break;
    }
    if (to.empty()) {
      i = node.end;
      continue;
    }
    for (uint32_t token = node.first_token; token < node.end_token; ++token) {
      on_token(trie_.tokens()[token]);
    }
    if (to.reached_bottom && node.end > i + 1) on_end(i);
    i = to.stacks.empty() ? node.end : i + 1;
  }
  frames_.Truncate(num_before);
  return is_whole;
}

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_GRAMMAR_H_
