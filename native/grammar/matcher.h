#ifndef AUTOGLM_GRAMMAR_MATCHER_H_
#define AUTOGLM_GRAMMAR_MATCHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/stacks.h"

namespace autoglm {

// Follows one text of a grammar token by token.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<Grammar> grammar);

  // Goes on by a token; false, and without effect, if the grammar does not allow it, or the text is
  // within more calls of rules than kMaxFrames.
  bool Accept(uint32_t token_id);
  // Takes the last tokens back, at most kMaxRollback of them; false if there are not as many.
  bool RollBack(size_t num_tokens);
  // Tells whether the text may end here.
  bool is_complete() const { return current_.reached_bottom; }
  // Sets the bits of the tokens that may come next, and clears the others; sets none where finding
  // them takes more than kMaxSteps, or the text can be read in more ways than a set of stacks takes.
  // `words` is [num_mask_words].
  void FillMask(std::span<uint32_t> words);

  // Frames of calls that are held, of this text and of what may be taken back.
  size_t num_frames() const { return frames_.size(); }

  // Steps that a mask may take, some 3 ms, besides what is computed once for states: the thread that
  // asks for it serves everybody, and an answer may have many choices.
  static constexpr uint64_t kMaxSteps = 1'000'000;
  static constexpr size_t kMaxRollback = 64;
  // Frames from which on those that are no longer in use are dropped.
  static constexpr size_t kMinFrames = 4096;
  // 16 MB of frames.
  static constexpr size_t kMaxFrames = 2'000'000;

 private:
  // Steps that a mask may still take.
  struct Budget {
    uint64_t to_compute = 2 * Grammar::kMaxSteps;  // masks of states that nobody asked for before
    uint64_t to_join = kMaxSteps;
  };
  // The mask of a set of stacks that was asked for lately.
  struct Known {
    std::vector<Stack> stacks;
    std::vector<uint32_t> words;  // empty: nothing known
  };

  void DropUnusedFrames();
  // Returns false if it takes more than `left`, from which it subtracts what it took.
  bool AddMask(const Stack& stack, std::span<uint32_t> words, Budget& left);

  const std::shared_ptr<Grammar> grammar_;
  StackFrames frames_;
  TrieWalk walk_;
  size_t max_frames_ = kMinFrames;
  StackSet current_;
  StackSet scratch_;
  StackSet below_;
  std::deque<StackSet> history_;  // sets before the last tokens, the latest last
  std::array<Known, 4> known_;
  size_t next_known_ = 0;
};

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_MATCHER_H_
