#ifndef AUTOGLM_GRAMMAR_STACKS_H_
#define AUTOGLM_GRAMMAR_STACKS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/automaton.h"

namespace autoglm {

// One way in which a text may have been read so far: the state it is in, and the frame of the call
// that it is within.
struct Stack {
  uint32_t state;
  int32_t frame;  // kBottom: none

  bool operator==(const Stack&) const = default;
};

constexpr int32_t kBottom = -1;

// All ways in which a text may have been read. Each takes a byte in its own state: calls and ends
// of rules have been followed.
struct StackSet {
  std::vector<Stack> stacks;
  bool reached_bottom = false;  // whether the text may end here
  bool is_whole = true;         // false: there are more ways than a set takes

  // Tells whether no text goes on from here.
  bool empty() const { return stacks.empty() && !reached_bottom && is_whole; }
  void Clear() {
    stacks.clear();
    reached_bottom = false;
    is_whole = true;
  }
};

// Numbers of pairs, in the order in which they came: a hash table with open addressing, which is
// emptied in constant time.
class PairIndex {
 public:
  // Returns the number of a pair, which is size() before the call if it is new.
  uint32_t Add(uint32_t first, int32_t second);
  uint32_t size() const { return size_; }
  void Clear();

 private:
  struct Slot {
    uint64_t pair = 0;
    uint32_t number = 0;
    uint32_t round = 0;  // that the slot was written in; those of earlier rounds are free
  };

  void Grow();
  Slot& SlotOf(uint64_t pair);

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  uint32_t size_ = 0;
  uint32_t round_ = 1;
};

// The frames of calls that stacks share. A frame is never changed, so that a set of stacks stays
// valid until its frames are dropped.
class StackFrames {
 public:
  explicit StackFrames(const Automaton& automaton);

  // Sets `to` to what is before the first byte of a text.
  void Begin(StackSet& to);
  // Sets `to` to what is left of `from` after a byte.
  void Advance(const StackSet& from, uint8_t byte, StackSet& to);
  // Sets `to` to what follows when the rule within a frame, which is not kBottom, has ended.
  void Return(int32_t frame, StackSet& to);

  // Tells whether a state takes bytes and does nothing else.
  bool IsPlain(uint32_t state) const { return (traits_[state] & kPlain) != 0; }
  size_t size() const { return frames_.size(); }
  // Stacks and frames that have been looked at so far: what a grammar costs does not depend on how
  // fast a machine is.
  uint64_t num_steps() const { return num_steps_; }
  // Drops all frames that no stack of these sets is within, and renumbers the others, in the sets too.
  void KeepOnly(std::span<StackSet* const> sets);
  // Drops the frames from a number on; no stack in use may be within one of them.
  void Truncate(size_t size) { frames_.resize(size); }

  // A set takes no more stacks, and is not whole where there are more.
  static constexpr size_t kMaxStacks = 2048;
  // Nor are more states followed for a byte, those included that take none themselves.
  static constexpr size_t kMaxFollowed = 4 * kMaxStacks;

 private:
  struct Frame {
    uint32_t target;  // state after the call
    int32_t frame;    // that the call is within
    bool operator==(const Frame&) const = default;
  };

  // Begins a call: no stack has been followed, and no frame made.
  void BeginCall();
  // Adds a stack to a set, and what follows from it without a byte.
  void Add(Stack stack, StackSet& set);
  // Adds one stack, and notes whether something follows from it.
  void Follow(Stack stack, StackSet& set);
  // Adds what is after the call of a frame, or notes that the text may end.
  void Leave(int32_t frame, StackSet& set);
  int32_t Push(Frame frame);

  enum Trait : uint8_t {
    kPlain = 1,       // takes bytes and does nothing else
    kEnd = 2,         // ends its rule and does nothing else
    kTakesBytes = 4,  // takes bytes, whatever else it does
  };

  const Automaton& automaton_;
  std::vector<uint8_t> traits_;  // [num_states]: of Trait
  std::vector<Frame> frames_;
  uint64_t num_steps_ = 0;
  // Of the running call: stacks that have been added, those of them that are still to be followed,
  // and frames that have been made, which begin at `first_new_`.
  PairIndex added_;
  std::vector<Stack> pending_;
  PairIndex made_;
  size_t first_new_ = 0;
};

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_STACKS_H_
