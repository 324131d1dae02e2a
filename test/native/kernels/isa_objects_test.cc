#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"

// A weak symbol in a file compiled for a wide instruction set may replace its twin everywhere in
// the program, and so crash a machine without these instructions. This test checks that there are
// none.

namespace {

// Returns the paths of the objects, which the build passes separated by colons.
std::vector<std::string> IsaObjects() {
  std::vector<std::string> paths;
  std::string_view list = ISA_OBJECTS;
  while (!list.empty()) {
    const size_t colon = list.find(':');
    paths.emplace_back(list.substr(0, colon));
    list.remove_prefix(colon == std::string_view::npos ? list.size() : colon + 1);
  }
  return paths;
}

// Returns the lines of `nm OBJECT` whose symbol is weak (V, v, W, w) or unique (u).
std::vector<std::string> WeakSymbols(const std::string& object, bool* ran) {
  std::vector<std::string> weak;
  std::FILE* pipe = popen(("nm '" + object + "'").c_str(), "r");
  *ran = false;
  char line[4096];
  while (pipe != nullptr && std::fgets(line, sizeof(line), pipe) != nullptr) {
    *ran = true;
    // A line has 16 columns of address, a space and the type.
    if (std::string_view(line).size() > 17 &&
        std::string_view("VvWwu").find(line[17]) != std::string_view::npos) {
      weak.emplace_back(line);
    }
  }
  if (pipe != nullptr) pclose(pipe);
  return weak;
}

TEST_CASE("Objects of an instruction set export no weak symbol") {
  if (IsaObjects().empty()) MESSAGE("skipped: this processor family has no such objects");
  for (const std::string& object : IsaObjects()) {
    CAPTURE(object);
    bool ran = false;

    const std::vector<std::string> weak = WeakSymbols(object, &ran);

    REQUIRE_MESSAGE(ran, "nm gave no symbols");
    CHECK_MESSAGE(weak.empty(), (weak.empty() ? "" : weak.front()));
  }
}

}  // namespace
