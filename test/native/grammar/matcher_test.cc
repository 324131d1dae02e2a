#include "grammar/matcher.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace autoglm;

namespace {

// Bytes of "[]a,": a state takes each of them or none.
Automaton AutomatonOf(const std::vector<std::map<char, int32_t>>& states,
                      const std::vector<uint8_t>& is_final,
                      const std::vector<std::vector<Automaton::Call>>& calls) {
  Automaton automaton;
  automaton.num_classes = 256;
  for (size_t byte = 0; byte < 256; ++byte) automaton.class_of[byte] = static_cast<uint8_t>(byte);
  automaton.is_final = is_final;
  automaton.transitions.assign(states.size() * 256, Automaton::kNone);
  automaton.call_starts = {0};
  for (size_t state = 0; state < states.size(); ++state) {
    for (const auto& [byte, next] : states[state]) {
      automaton.transitions[state * 256 + static_cast<uint8_t>(byte)] = next;
    }
    automaton.calls.insert(automaton.calls.end(), calls[state].begin(), calls[state].end());
    automaton.call_starts.push_back(static_cast<uint32_t>(automaton.calls.size()));
  }
  return automaton;
}

// list = "[" ( item ( "," item )* )? "]"; item = "a"+ | list.
Automaton Lists() {
  return AutomatonOf(
      {
          {{'[', 1}},            // 0 list
          {{']', 3}},            // 1 behind "[": calls item, then 2
          {{',', 4}, {']', 3}},  // 2 behind an item
          {},                    // 3 end
          {},                    // 4 behind ",": calls item, then 2
          {{'a', 6}},            // 5 item: calls list, then 7
          {{'a', 6}},            // 6
          {},                    // 7 end
      },
      {0, 0, 0, 1, 0, 0, 1, 1},
      {{}, {{5, 2}}, {}, {}, {{5, 2}}, {{0, 7}}, {}, {}});
}

std::shared_ptr<const TokenTrie> TrieOf(const std::vector<std::string>& tokens) {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> starts = {0};
  for (const std::string& token : tokens) {
    bytes.insert(bytes.end(), token.begin(), token.end());
    starts.push_back(static_cast<uint32_t>(bytes.size()));
  }
  return std::make_shared<const TokenTrie>(bytes, starts, static_cast<uint32_t>(tokens.size()));
}

const std::vector<std::string> kTokens = {"[",  "]",   "a",   ",",  "[[",   "]]", "a,",
                                          "aa", "],[", "a]]", "b",  "[a,a]", "",   "]]]"};

struct Fixture {
  std::shared_ptr<Grammar> grammar = std::make_shared<Grammar>(Lists(), TrieOf(kTokens));

  std::string Allowed(Matcher& matcher) const {
    std::vector<uint32_t> words(grammar->trie().num_mask_words(), ~0u);
    matcher.FillMask(words);
    std::string allowed;
    for (size_t id = 0; id < kTokens.size(); ++id) {
      if ((words[id / 32] >> (id % 32) & 1u) != 0) allowed += kTokens[id] + " ";
    }
    return allowed;
  }

  void Accept(Matcher& matcher, const std::string& token) const {
    for (uint32_t id = 0; id < kTokens.size(); ++id) {
      if (kTokens[id] == token) REQUIRE(matcher.Accept(id));
    }
  }
};

// Says by brute force which tokens may follow: those that another matcher accepts.
std::string AcceptedNext(const Fixture& fixture, const std::vector<uint32_t>& text) {
  std::string accepted;
  for (uint32_t id = 0; id < kTokens.size(); ++id) {
    Matcher matcher(fixture.grammar);
    for (const uint32_t token : text) REQUIRE(matcher.Accept(token));
    if (matcher.Accept(id)) accepted += kTokens[id] + " ";
  }
  return accepted;
}

}  // namespace

TEST_CASE("a matcher allows the tokens that keep a text within the grammar") {
  const Fixture fixture;
  Matcher matcher(fixture.grammar);
  CHECK(fixture.Allowed(matcher) == "[ [[ [a,a] ");
  fixture.Accept(matcher, "[[");
  CHECK(fixture.Allowed(matcher) == "[ ] a [[ ]] a, aa ],[ a]] [a,a] ");
  fixture.Accept(matcher, "aa");
  CHECK(fixture.Allowed(matcher) == "] a , ]] a, aa ],[ a]] ");
  CHECK_FALSE(matcher.is_complete());
  fixture.Accept(matcher, "]]");
  CHECK(matcher.is_complete());
  CHECK(fixture.Allowed(matcher) == "");
}

TEST_CASE("a refused token and a token without text change nothing") {
  const Fixture fixture;
  Matcher matcher(fixture.grammar);
  fixture.Accept(matcher, "[");
  CHECK_FALSE(matcher.Accept(10));   // "b"
  CHECK_FALSE(matcher.Accept(12));   // ""
  CHECK_FALSE(matcher.Accept(13));   // "]]]", of which the first byte fits
  CHECK_FALSE(matcher.Accept(999));  // no token
  CHECK(fixture.Allowed(matcher) == "[ ] a [[ a, aa [a,a] ");
}

TEST_CASE("tokens are taken back") {
  const Fixture fixture;
  Matcher matcher(fixture.grammar);
  fixture.Accept(matcher, "[");
  const std::string before = fixture.Allowed(matcher);
  fixture.Accept(matcher, "a,");
  fixture.Accept(matcher, "[[");
  CHECK_FALSE(matcher.RollBack(4));
  CHECK(matcher.RollBack(2));
  CHECK(fixture.Allowed(matcher) == before);
}

TEST_CASE("the mask is what is accepted, after every text") {
  const Fixture fixture;
  uint32_t random = 1;
  for (int text = 0; text < 200; ++text) {
    Matcher matcher(fixture.grammar);
    std::vector<uint32_t> tokens;
    for (int length = 0; length < 12; ++length) {
      const std::string allowed = fixture.Allowed(matcher);
      REQUIRE(allowed == AcceptedNext(fixture, tokens));
      if (allowed.empty()) break;
      uint32_t id = 0;
      do {
        random = random * 1664525u + 1013904223u;
        id = (random >> 16) % static_cast<uint32_t>(kTokens.size());
      } while (!matcher.Accept(id));
      tokens.push_back(id);
    }
  }
}

TEST_CASE("a grammar that is damaged is refused") {
  Automaton automaton = Lists();
  CHECK(CheckAutomaton(automaton).ok());
  automaton.calls[0].callee = 99;
  CHECK_FALSE(CheckAutomaton(automaton).ok());
  automaton = Lists();
  automaton.transitions.pop_back();
  CHECK_FALSE(CheckAutomaton(automaton).ok());
  automaton = Lists();
  automaton.transitions[0] = 8;
  CHECK_FALSE(CheckAutomaton(automaton).ok());
  automaton = Lists();
  automaton.call_starts[1] = 3;
  CHECK_FALSE(CheckAutomaton(automaton).ok());
}

TEST_CASE("a rule that calls itself before it has taken a byte is refused") {
  const Automaton automaton = AutomatonOf({{{'a', 1}}, {}, {{'b', 1}}}, {0, 1, 0},
                                          {{{2, 1}}, {}, {{0, 1}}});
  CHECK(CheckAutomaton(automaton).message() ==
        "grammar: a rule calls itself before it has taken a byte");
}

TEST_CASE("frames of calls that are over are dropped, and what is allowed stays the same") {
  const Fixture fixture;
  Matcher matcher(fixture.grammar);
  fixture.Accept(matcher, "[");
  std::string allowed;
  for (int item = 0; item < 20'000; ++item) {
    fixture.Accept(matcher, "[");
    fixture.Accept(matcher, "aa");
    fixture.Accept(matcher, "]");
    if (item == 0) allowed = fixture.Allowed(matcher);
    fixture.Accept(matcher, ",");
    CHECK(matcher.num_frames() <= 2 * Matcher::kMinFrames);
  }
  CHECK(matcher.RollBack(1));
  CHECK(fixture.Allowed(matcher) == allowed);
  fixture.Accept(matcher, "]");
  CHECK(matcher.is_complete());
}

TEST_CASE("lists may lie within each other as deep as frames last") {
  const Fixture fixture;
  Matcher matcher(fixture.grammar);
  constexpr int kDepth = 100'000;
  for (int depth = 0; depth < kDepth; ++depth) fixture.Accept(matcher, "[");
  for (int depth = 0; depth < kDepth; ++depth) {
    CHECK_FALSE(matcher.is_complete());
    fixture.Accept(matcher, "]");
  }
  CHECK(matcher.is_complete());
}

TEST_CASE("a grammar that reads a text in too many ways is refused, and its masks cost little") {
  // Each of many rules is "a", or "a" and any two of the rules: n letters can be read in more ways
  // than anybody counts.
  constexpr int32_t kNumRules = 60;
  std::vector<std::map<char, int32_t>> states;
  std::vector<uint8_t> is_final;
  std::vector<std::vector<Automaton::Call>> calls;
  const auto start_of = [](uint32_t rule) { return 4 * rule; };
  for (uint32_t rule = 0; rule < kNumRules; ++rule) {
    std::vector<Automaton::Call> first;
    std::vector<Automaton::Call> second;
    for (uint32_t other = 0; other < kNumRules; ++other) {
      first.push_back({start_of(other), start_of(rule) + 2});
      second.push_back({start_of(other), start_of(rule) + 3});
    }
    states.push_back({{'a', static_cast<int32_t>(start_of(rule) + 1)}});
    states.resize(states.size() + 3);
    is_final.insert(is_final.end(), {0, 1, 0, 1});
    calls.insert(calls.end(), {{}, first, second, {}});
  }
  std::vector<std::string> tokens;
  for (size_t length = 1; length <= 400; ++length) tokens.emplace_back(length, 'a');
  const Automaton automaton = AutomatonOf(states, is_final, calls);
  REQUIRE(CheckAutomaton(automaton).ok());
  const auto grammar = std::make_shared<Grammar>(automaton, TrieOf(tokens));

  Matcher matcher(grammar);
  std::vector<uint32_t> words(grammar->trie().num_mask_words());
  matcher.FillMask(words);
  const uint64_t num_steps = grammar->num_steps();

  CHECK(words == std::vector<uint32_t>(words.size()));
  CHECK(num_steps < 2 * Grammar::kMaxSteps);
  CHECK(grammar->Prepare(1000).message() ==
        "grammar: a text can be read in too many ways; make it less ambiguous");
}

namespace {

// rule 0 = rule 1 "]"?; rule 1 = rule 2 "]"?; and so on, to "a".
Automaton ChainOf(uint32_t num_rules) {
  std::vector<std::map<char, int32_t>> states;
  std::vector<uint8_t> is_final;
  std::vector<std::vector<Automaton::Call>> calls;
  for (uint32_t rule = 0; rule < num_rules; ++rule) {
    const auto first = static_cast<uint32_t>(states.size());
    const bool is_last = rule + 1 == num_rules;
    states.push_back(is_last ? std::map<char, int32_t>{{'a', static_cast<int32_t>(first + 2)}}
                             : std::map<char, int32_t>{});
    states.push_back({{']', static_cast<int32_t>(first + 2)}});
    states.push_back({});
    is_final.insert(is_final.end(), {0, 1, 1});
    calls.insert(calls.end(), {{}, {}, {}});
    if (!is_last) calls[first] = {{first + 3, first + 1}};
  }
  return AutomatonOf(states, is_final, calls);
}

}  // namespace

TEST_CASE("a byte is found behind a long chain of rules") {
  const auto grammar = std::make_shared<Grammar>(ChainOf(1500), TrieOf({"a", "]", "a]"}));
  REQUIRE(grammar->Prepare(1000).ok());
  Matcher matcher(grammar);
  std::vector<uint32_t> words(1);

  matcher.FillMask(words);

  CHECK(words[0] == 0b101);
  REQUIRE(matcher.Accept(0));
  CHECK(matcher.is_complete());
  matcher.FillMask(words);
  CHECK(words[0] == 0b010);
}

TEST_CASE("a text that more rules can go on with than are followed allows no token") {
  constexpr auto kNumRules = static_cast<uint32_t>(StackFrames::kMaxStacks) + 2;
  const auto grammar = std::make_shared<Grammar>(ChainOf(kNumRules), TrieOf({"a", "]"}));
  REQUIRE(grammar->Prepare(1000).ok());
  Matcher matcher(grammar);
  std::vector<uint32_t> words(1);
  matcher.FillMask(words);
  CHECK(words[0] == 0b01);

  REQUIRE(matcher.Accept(0));

  matcher.FillMask(words);
  CHECK(words[0] == 0);
  REQUIRE(matcher.RollBack(1));
  matcher.FillMask(words);
  CHECK(words[0] == 0b01);
}

TEST_CASE("a grammar whose first byte is behind more rules than are followed is refused") {
  constexpr auto kNumRules = static_cast<uint32_t>(StackFrames::kMaxFollowed) + 2;
  Grammar grammar(ChainOf(kNumRules), TrieOf({"a", "]"}));
  CHECK(grammar.Prepare(1000).message() ==
        "grammar: a text can be read in too many ways; make it less ambiguous");
}

TEST_CASE("a token that another rule of a thousand takes is allowed") {
  // Each of many rules takes "[" and one of two letters, and then "]" or ",".
  constexpr uint32_t kNumRules = 1000;
  std::vector<std::map<char, int32_t>> states = {{}, {}};
  std::vector<uint8_t> is_final = {0, 1};
  std::vector<std::vector<Automaton::Call>> calls(2);
  for (uint32_t rule = 0; rule < kNumRules; ++rule) {
    const auto first = static_cast<int32_t>(states.size());
    calls[0].push_back({static_cast<uint32_t>(first), 1});
    states.push_back({{'[', first + 1}});
    states.push_back({{'a', first + 2}});
    states.push_back({{rule + 1 == kNumRules ? ',' : ']', first + 3}});
    states.push_back({});
    is_final.insert(is_final.end(), {0, 0, 0, 1});
    calls.resize(calls.size() + 4);
  }
  const auto grammar =
      std::make_shared<Grammar>(AutomatonOf(states, is_final, calls), TrieOf({"[a", "]", ","}));
  Matcher matcher(grammar);
  std::vector<uint32_t> words(1);

  REQUIRE(matcher.Accept(0));

  matcher.FillMask(words);
  CHECK(words[0] == 0b110);
  CHECK(matcher.Accept(2));
}

TEST_CASE("a mask is found if that takes few milliseconds, and is empty otherwise") {
  for (const uint32_t num_rules : {200u, 800u}) {
    const auto grammar = std::make_shared<Grammar>(ChainOf(num_rules), TrieOf({"a", "]", "]]"}));
    REQUIRE(grammar->Prepare(1000).ok());
    Matcher matcher(grammar);
    REQUIRE(matcher.Accept(0));
    std::vector<uint32_t> words(1);

    // Behind "]" each rule of the chain may have ended, with all of those that it is within.
    matcher.FillMask(words);

    CHECK(words[0] == (num_rules == 200 ? 0b110 : 0));
  }
}
