#include "grammar/stacks.h"

#include <algorithm>

namespace autoglm {
namespace {

bool Contains(const std::vector<Stack>& stacks, const Stack& stack) {
  return std::find(stacks.begin(), stacks.end(), stack) != stacks.end();
}

}  // namespace

StackFrames::StackFrames(const Automaton& automaton)
    : automaton_(automaton), traits_(automaton.num_states()) {
  for (uint32_t state = 0; state < automaton.num_states(); ++state) {
    const auto* row = automaton.transitions.data() + size_t{state} * automaton.num_classes;
    const bool has_calls = !automaton.CallsOf(state).empty();
    const bool takes_bytes = std::any_of(row, row + automaton.num_classes,
                                         [](int32_t next) { return next != Automaton::kNone; });
    if (automaton.is_final[state] == 0 && !has_calls) traits_[state] = kPlain;
    if (automaton.is_final[state] != 0 && !has_calls && !takes_bytes) traits_[state] = kEnd;
  }
}

int32_t StackFrames::Push(Frame frame) {
  // Two ways that meet again share a frame, or the number of ways would double with each call.
  for (size_t i = frames_.size(); i > first_new_; --i) {
    ++num_steps_;
    if (frames_[i - 1] == frame) return static_cast<int32_t>(i - 1);
  }
  frames_.push_back(frame);
  return static_cast<int32_t>(frames_.size() - 1);
}

void StackFrames::Add(Stack stack, StackSet& set) {
  num_steps_ += 1 + set.stacks.size() + visited_.size();
  if (IsPlain(stack.state)) {
    if (set.stacks.size() < kMaxStacks && !Contains(set.stacks, stack)) set.stacks.push_back(stack);
    return;
  }
  if (visited_.size() >= 4 * kMaxStacks || Contains(visited_, stack)) return;
  visited_.push_back(stack);
  if (set.stacks.size() < kMaxStacks && !Contains(set.stacks, stack)) set.stacks.push_back(stack);
  if (automaton_.is_final[stack.state] != 0) AddReturn(stack.frame, set);
  for (const Automaton::Call& call : automaton_.CallsOf(stack.state)) {
    // A call at the end of a rule needs no frame, so that a list does not nest with its length.
    const bool is_last = traits_[call.target] == kEnd;
    Add({call.callee, is_last ? stack.frame : Push({call.target, stack.frame})}, set);
  }
}

void StackFrames::AddReturn(int32_t frame, StackSet& set) {
  if (frame == kBottom) {
    set.reached_bottom = true;
    return;
  }
  const Frame within = frames_[static_cast<size_t>(frame)];
  Add({within.target, within.frame}, set);
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
  visited_.clear();
  Add({automaton_.start, kBottom}, to);
}

void StackFrames::Return(int32_t frame, StackSet& to) {
  to.Clear();
  visited_.clear();
  AddReturn(frame, to);
}

void StackFrames::Advance(const StackSet& from, uint8_t byte, StackSet& to) {
  to.Clear();
  num_steps_ += 1 + from.stacks.size();
  first_new_ = frames_.size();
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
  visited_.clear();
  for (const Stack& stack : from.stacks) {
    const int32_t next = automaton_.Next(stack.state, byte);
    if (next != Automaton::kNone) Add({static_cast<uint32_t>(next), stack.frame}, to);
  }
}

}  // namespace autoglm
