#include "grammar/stacks.h"

#include <algorithm>

namespace autoglm {
namespace {

// Steps that looking up a stack or a frame counts for.
constexpr uint64_t kLookUpSteps = 4;

}  // namespace

uint32_t PairIndex::Add(uint32_t first, int32_t second) {
  const uint64_t pair = uint64_t{first} << 32 | static_cast<uint32_t>(second);
  Slot& slot = SlotOf(pair);
  if (slot.round == round_) return slot.number;
  slot = {pair, size_++, round_};
  const uint32_t number = slot.number;
  if (2 * size_t{size_} > slots_.size()) Grow();
  return number;
}

void PairIndex::Clear() {
  size_ = 0;
  if (++round_ != 0) return;
  std::fill(slots_.begin(), slots_.end(), Slot());
  round_ = 1;
}

PairIndex::Slot& PairIndex::SlotOf(uint64_t pair) {
  const size_t mask = slots_.size() - 1;
  // Multiplicative hashing (Knuth 1998, 6.4).
  size_t at = static_cast<size_t>((pair * 0x9e3779b97f4a7c15u) >> 32) & mask;
  while (slots_[at].round == round_ && slots_[at].pair != pair) at = (at + 1) & mask;
  return slots_[at];
}

void PairIndex::Grow() {
  std::vector<Slot> before(2 * slots_.size());
  std::swap(slots_, before);
  for (const Slot& slot : before) {
    if (slot.round == round_) SlotOf(slot.pair) = slot;
  }
}

StackFrames::StackFrames(const Automaton& automaton)
    : automaton_(automaton), traits_(automaton.num_states()) {
  for (uint32_t state = 0; state < automaton.num_states(); ++state) {
    const auto* row = automaton.transitions.data() + size_t{state} * automaton.num_classes;
    const bool has_calls = !automaton.CallsOf(state).empty();
    const bool takes_bytes = std::any_of(row, row + automaton.num_classes,
                                         [](int32_t next) { return next != Automaton::kNone; });
    const bool is_final = automaton.is_final[state] != 0;
    if (takes_bytes) traits_[state] |= kTakesBytes;
    if (!is_final && !has_calls) traits_[state] |= kPlain;
    if (is_final && !has_calls && !takes_bytes) traits_[state] |= kEnd;
  }
}

void StackFrames::BeginCall() {
  added_.Clear();
  made_.Clear();
  first_new_ = frames_.size();
}

int32_t StackFrames::Push(Frame frame) {
  // Two ways that meet again share a frame, or the number of ways would double with each call.
  num_steps_ += kLookUpSteps;
  const size_t number = made_.Add(frame.target, frame.frame);
  if (first_new_ + number == frames_.size()) frames_.push_back(frame);
  return static_cast<int32_t>(first_new_ + number);
}

void StackFrames::Add(Stack stack, StackSet& set) {
  pending_.clear();
  Follow(stack, set);
  while (!pending_.empty() && added_.size() <= kMaxFollowed) {
    const Stack next = pending_.back();
    pending_.pop_back();
    if (automaton_.is_final[next.state] != 0) Leave(next.frame, set);
    for (const Automaton::Call& call : automaton_.CallsOf(next.state)) {
      // A call at the end of a rule needs no frame, so that a list does not nest with its length.
      const bool is_last = (traits_[call.target] & kEnd) != 0;
      Follow({call.callee, is_last ? next.frame : Push({call.target, next.frame})}, set);
    }
  }
}

void StackFrames::Follow(Stack stack, StackSet& set) {
  num_steps_ += kLookUpSteps;
  const uint32_t num_added = added_.size();
  if (added_.Add(stack.state, stack.frame) != num_added) return;
  const bool takes_bytes = (traits_[stack.state] & kTakesBytes) != 0;
  if (added_.size() > kMaxFollowed || (takes_bytes && set.stacks.size() == kMaxStacks)) {
    set.is_whole = false;
    return;
  }
  if (takes_bytes) set.stacks.push_back(stack);
  if (!IsPlain(stack.state)) pending_.push_back(stack);
}

void StackFrames::Leave(int32_t frame, StackSet& set) {
  if (frame == kBottom) {
    set.reached_bottom = true;
    return;
  }
  const Frame within = frames_[static_cast<size_t>(frame)];
  Follow({within.target, within.frame}, set);
}

void StackFrames::KeepOnly(std::span<StackSet* const> sets) {
  // A frame comes behind the one that it is within.
  std::vector<int32_t> places(frames_.size(), kBottom);
  constexpr int32_t kUsed = 0;
  for (const StackSet* set : sets) {
    for (const Stack& stack : set->stacks) {
      if (stack.frame != kBottom) places[static_cast<size_t>(stack.frame)] = kUsed;
    }
  }
  for (size_t i = frames_.size(); i-- > 0;) {
    const int32_t within = frames_[i].frame;
    if (places[i] == kUsed && within != kBottom) places[static_cast<size_t>(within)] = kUsed;
  }
  const auto place_of = [&places](int32_t frame) {
    return frame == kBottom ? kBottom : places[static_cast<size_t>(frame)];
  };
  size_t num_kept = 0;
  for (size_t i = 0; i < frames_.size(); ++i) {
    if (places[i] != kUsed) continue;
    places[i] = static_cast<int32_t>(num_kept);
    frames_[num_kept++] = {frames_[i].target, place_of(frames_[i].frame)};
  }
  frames_.resize(num_kept);
  frames_.shrink_to_fit();
  for (StackSet* set : sets) {
    for (Stack& stack : set->stacks) stack.frame = place_of(stack.frame);
  }
}

void StackFrames::Begin(StackSet& to) {
  to.Clear();
  BeginCall();
  Add({automaton_.start, kBottom}, to);
}

void StackFrames::Return(int32_t frame, StackSet& to) {
  to.Clear();
  BeginCall();
  const Frame within = frames_[static_cast<size_t>(frame)];
  Add({within.target, within.frame}, to);
}

void StackFrames::Advance(const StackSet& from, uint8_t byte, StackSet& to) {
  to.Clear();
  num_steps_ += 1 + from.stacks.size();
  if (from.stacks.size() == 1) {
    // The common case, within a text or a name.
    const Stack& stack = from.stacks.front();
    const int32_t next = automaton_.Next(stack.state, byte);
    if (next == Automaton::kNone) return;
    if (IsPlain(static_cast<uint32_t>(next))) {
      to.stacks.push_back({static_cast<uint32_t>(next), stack.frame});
      return;
    }
  }
  BeginCall();
  for (const Stack& stack : from.stacks) {
    const int32_t next = automaton_.Next(stack.state, byte);
    if (next != Automaton::kNone) Add({static_cast<uint32_t>(next), stack.frame}, to);
  }
}

}  // namespace autoglm
