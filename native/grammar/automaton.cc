#include "grammar/automaton.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace autoglm {
namespace {

Status Refuse(const char* what) {
  return InvalidRequest(std::string("grammar: ") + what);
}

// What a state does with one byte, in the classes of the round before.
using Signature = std::vector<uint32_t>;

struct SignatureHash {
  size_t operator()(const Signature& signature) const {
    uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, by words
    for (const uint32_t word : signature) hash = (hash ^ word) * 0x100000001b3u;
    return static_cast<size_t>(hash ^ (hash >> 32));
  }
};

// Tells whether calls at the start of rules lead in a circle.
bool RecursesAtOnce(const Automaton& automaton) {
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(automaton.num_states(), Mark::kNew);
  // A depth-first walk over the start states of rules, with its own stack.
  struct Visit {
    uint32_t state;
    size_t next_call;
  };
  std::vector<Visit> visits;
  for (const Automaton::Call& first : automaton.calls) {
    if (marks[first.callee] == Mark::kNew) visits.push_back({first.callee, 0});
    while (!visits.empty()) {
      Visit& visit = visits.back();
      marks[visit.state] = Mark::kOpen;
      const std::span<const Automaton::Call> calls = automaton.CallsOf(visit.state);
      if (visit.next_call == calls.size()) {
        marks[visit.state] = Mark::kDone;
        visits.pop_back();
        continue;
      }
      const uint32_t callee = calls[visit.next_call++].callee;
      if (marks[callee] == Mark::kOpen) return true;
      if (marks[callee] == Mark::kNew) visits.push_back({callee, 0});
    }
  }
  return false;
}

}  // namespace

Status CheckAutomaton(const Automaton& automaton) {
  const uint32_t num_states = automaton.num_states();
  if (num_states == 0 || automaton.start >= num_states) return Refuse("it has no start");
  if (automaton.num_classes == 0 || automaton.num_classes > 256 ||
      automaton.transitions.size() != size_t{num_states} * automaton.num_classes) {
    return Refuse("transitions have a wrong length");
  }
  for (const uint8_t one : automaton.class_of) {
    if (one >= automaton.num_classes) return Refuse("a class of bytes is out of range");
  }
  for (const int32_t next : automaton.transitions) {
    if (next < Automaton::kNone || next >= static_cast<int32_t>(num_states)) {
      return Refuse("a transition is out of range");
    }
  }
  const std::vector<uint32_t>& starts = automaton.call_starts;
  if (starts.size() != size_t{num_states} + 1 || starts.front() != 0 ||
      starts.back() != automaton.calls.size() || !std::is_sorted(starts.begin(), starts.end())) {
    return Refuse("calls have a wrong length");
  }
  for (const Automaton::Call& call : automaton.calls) {
    if (call.callee >= num_states || call.target >= num_states) {
      return Refuse("a call is out of range");
    }
    if (automaton.is_final[call.callee] != 0) return Refuse("a called rule takes the empty text");
  }
  if (RecursesAtOnce(automaton)) return Refuse("a rule calls itself before it has taken a byte");
  return Status();
}

std::vector<uint32_t> ClassifyStates(const Automaton& automaton, uint32_t num_bytes) {
  // Partition refinement (Moore 1956), one round for each byte.
  const uint32_t num_states = automaton.num_states();
  std::vector<uint32_t> classes(automaton.is_final.begin(), automaton.is_final.end());
  std::vector<uint32_t> next(num_states);
  size_t num_known = 0;
  for (uint32_t round = 0; round < num_bytes; ++round) {
    std::unordered_map<Signature, uint32_t, SignatureHash> known;
    Signature signature;
    for (uint32_t state = 0; state < num_states; ++state) {
      signature.assign(1, classes[state]);
      for (uint32_t one = 0; one < automaton.num_classes; ++one) {
        const int32_t to = automaton.transitions[size_t{state} * automaton.num_classes + one];
        signature.push_back(to == Automaton::kNone ? UINT32_MAX : classes[static_cast<size_t>(to)]);
      }
      for (const Automaton::Call& call : automaton.CallsOf(state)) {
        signature.push_back(call.callee);
        signature.push_back(classes[call.target]);
      }
      next[state] = known.emplace(signature, static_cast<uint32_t>(known.size())).first->second;
    }
    std::swap(classes, next);
    if (known.size() == num_known) break;
    num_known = known.size();
  }
  return classes;
}

}  // namespace autoglm
