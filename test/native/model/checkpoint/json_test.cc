#include "model/checkpoint/json.h"

#include <sys/stat.h>

#include <string>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void CheckRefused(const Result<Json>& json, const std::string& part) {
  REQUIRE_FALSE(json.ok());
  CHECK_EQ(json.status().reason(), Reason::kInvalidCheckpoint);
  CHECK_MESSAGE(json.status().message().find(part) != std::string::npos, json.status().message());
}

TEST_CASE("Values within each other are counted before they are parsed") {
  CHECK(ParseJson(Repeated("[", 32) + Repeated("]", 32), "file").ok());
  CheckRefused(ParseJson(Repeated("[", 33) + Repeated("]", 33), "file"),
               "file: more than 32 objects and lists within each other");
  for (const char* nested : {"[", "{\"a\":"}) {
    CheckRefused(ParseJson(Repeated(nested, 100'000), "file"), "within each other");
  }
}

TEST_CASE("Brackets in a string are text") {
  const Result<Json> json = ParseJson(R"({"a":"\"[[[[\\","b":[]})", "file", {.max_depth = 2});

  REQUIRE(json.ok());
  CHECK_EQ(json.value()["a"].get<std::string>(), "\"[[[[\\");
}

TEST_CASE("Values are counted before they are parsed") {
  CHECK(ParseJson("[1,2,3]", "file", {.max_values = 4}).ok());
  CheckRefused(ParseJson("[1,2,3,4]", "file", {.max_values = 4}), "file: more than 4 values");
}

TEST_CASE("A file that git-lfs has not downloaded is refused with what to do") {
  const TemporaryDirectory directory;
  const std::string path =
      directory.Write("config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");

  CheckRefused(ReadJsonFile(path), "config.json: is a git-lfs pointer");
}

TEST_CASE("A file that is too large, or no file, is refused without being read whole") {
  const TemporaryDirectory directory;
  const std::string large = directory.Write("large.json", std::string(64'000'001, ' '));
  const std::string pipe = directory.path() + "/pipe.json";
  REQUIRE_EQ(mkfifo(pipe.c_str(), 0600), 0);

  CheckRefused(ReadJsonFile(large), "large.json: larger than 64000000 bytes");
  CheckRefused(ReadJsonFile(pipe), "pipe.json: not a regular file");
  CheckRefused(ReadJsonFile(directory.path()), "not a regular file");
}

}  // namespace
}  // namespace autoglm
