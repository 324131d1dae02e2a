#ifndef AUTOGLM_MODEL_JSON_H_
#define AUTOGLM_MODEL_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "nlohmann/json.hpp"

namespace autoglm {

using Json = nlohmann::json;

// Bounds that a text must keep before it is parsed: a parsed value takes far more memory than its
// text, and values are written and freed by recursion.
struct JsonLimits {
  int64_t max_depth = 32;           // objects and lists within each other
  int64_t max_values = 2'000'000;  // values and member names
};

// Parses a text; the error begins with `where`.
Result<Json> ParseJson(std::string_view text, const std::string& where,
                       const JsonLimits& limits = {});

// Parses a whole file of at most 64 MB; the error names the file.
Result<Json> ReadJsonFile(const std::string& path);

// Refuses a text that stands for a file that git-lfs has not downloaded, at `where`.
Status CheckIsNoGitLfsPointer(std::string_view text, const std::string& where);

// Reads the members of one object with every type checked. The first member that is missing or of
// another type sets `status`, and later reads return zeros, so that a caller checks once at the
// end.
class JsonObject {
 public:
  // `where` names the object in messages, such as "DIR/config.json: text_config".
  JsonObject(const Json& object, std::string where, Status& status);

  // Returns true if the member exists and is not null.
  bool Has(const char* name) const;
  // Returns the names of the members that are neither null nor false.
  std::vector<std::string> Names() const;
  bool IsArray(const char* name) const;
  bool IsString(const char* name) const;
  JsonObject Object(const char* name) const;

  int64_t PositiveInteger(const char* name) const;
  double Number(const char* name, double fallback) const;
  bool Boolean(const char* name, bool fallback) const;
  std::string String(const char* name, const std::string& fallback) const;
  std::vector<int64_t> Integers(const char* name) const;
  std::vector<double> Numbers(const char* name) const;

  const std::string& where() const { return where_; }

 private:
  const Json* Find(const char* name) const;
  void Refuse(const char* name, const char* expected) const;

  const Json* object_;
  std::string where_;
  Status* status_;
};

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_JSON_H_
