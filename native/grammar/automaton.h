#ifndef AUTOGLM_GRAMMAR_AUTOMATON_H_
#define AUTOGLM_GRAMMAR_AUTOMATON_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace autoglm {

// A grammar of bytes as automata that call each other, one for each rule. A state has at most one
// transition for a byte. A call enters another rule at its start and goes on at the state to return
// to when that rule ends. No rule takes the empty text, and none calls itself before it has taken a
// byte.
struct Automaton {
  struct Call {
    uint32_t callee;  // start state of the rule that is entered
    uint32_t target;  // state after it
  };

  static constexpr int32_t kNone = -1;

  uint32_t start = 0;
  uint32_t num_classes = 0;                 // of bytes that all transitions treat alike
  std::array<uint8_t, 256> class_of = {};   // by byte
  std::vector<int32_t> transitions;         // [num_states, num_classes]: a state, or kNone
  std::vector<uint8_t> is_final;            // [num_states]: whether the rule may end
  std::vector<uint32_t> call_starts;        // [num_states + 1]: into `calls`
  std::vector<Call> calls;

  uint32_t num_states() const { return static_cast<uint32_t>(is_final.size()); }
  int32_t Next(uint32_t state, uint8_t byte) const {
    return transitions[size_t{state} * num_classes + class_of[byte]];
  }
  std::span<const Call> CallsOf(uint32_t state) const {
    return std::span<const Call>(calls).subspan(call_starts[state],
                                                call_starts[state + 1] - call_starts[state]);
  }
};

// Refuses arrays of wrong lengths, states that are out of range, and rules that call themselves
// before they have taken a byte.
Status CheckAutomaton(const Automaton& automaton);

// Returns a number for each state: states with equal numbers do the same with all texts of at most
// `num_bytes` bytes, whatever is below them on the stack.
std::vector<uint32_t> ClassifyStates(const Automaton& automaton, uint32_t num_bytes);

}  // namespace autoglm

#endif  // AUTOGLM_GRAMMAR_AUTOMATON_H_
