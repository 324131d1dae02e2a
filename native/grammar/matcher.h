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

  // Goes on by a token; false, and without effect, if the grammar does not allow it.
  bool Accept(uint32_t token_id);
  // Takes the last tokens back, at most kMaxRollback of them; false if there are not as many.
  bool RollBack(size_t num_tokens);
  // Tells whether the text may end here.
  bool is_complete() const { return current_.reached_bottom; }
  // Sets the bits of the tokens that may come next, and clears the others. `words` is
  // [num_mask_words].
  void FillMask(std::span<uint32_t> words);

  static constexpr size_t kMaxRollback = 64;

 private:
  // The mask of a set of stacks that was asked for lately.
  struct Known {
    std::vector<Stack> stacks;
    std::vector<uint32_t> words;  // empty: nothing known
  };

  void AddMask(const Stack& stack, std::span<uint32_t> words);

  const std::shared_ptr<Grammar> grammar_;
  StackFrames frames_;
  TrieWalk walk_;
  StackSet current_;
  StackSet scratch_;
  StackSet below_;
  std::deque<StackSet> history_;  // sets before the last tokens, the latest last
  std::array<Known, 4> known_;
  size_t next_known_ = 0;
};

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_MATCHER_H_
