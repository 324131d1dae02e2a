#include "model/checkpoint/json.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

namespace autoglm {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

constexpr size_t kMaxFileBytes = 64'000'000;

// Counts what the parser would build, without building it.
Status CheckBounds(std::string_view text, const std::string& where, const JsonLimits& limits) {
  int64_t depth = 0;
  int64_t num_values = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (in_string) {
      if (c == '\\') ++i;
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == '[' || c == '{' || c == ',' || c == ':') ++num_values;
    if (depth > limits.max_depth) {
      return InvalidCheckpoint(where + ": more than " + std::to_string(limits.max_depth) +
                               " objects and lists within each other");
    }
    if (num_values > limits.max_values) {
      return InvalidCheckpoint(where + ": more than " + std::to_string(limits.max_values) +
                               " values");
    }
  }
  return Status();
}

const Json& EmptyObject() {
  static const Json empty = Json::object();
  return empty;
}

}  // namespace

Status CheckIsNoGitLfsPointer(std::string_view text, const std::string& where) {
  if (!text.starts_with("version https://git-lfs.github.com/spec/")) return Status();
  return InvalidCheckpoint(where + ": is a git-lfs pointer, not the file it stands for; run " +
                           "\"git lfs pull\" in the model directory");
}

Result<Json> ParseJson(std::string_view text, const std::string& where, const JsonLimits& limits) {
  const Status bounds = CheckBounds(text, where, limits);
  if (!bounds.ok()) return bounds;
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return InvalidCheckpoint(where + ": not valid JSON");
  return json;
}

Result<Json> ReadJsonFile(const std::string& path) {
  // A pipe or a device would be read without an end.
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return InvalidCheckpoint(path + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return InvalidCheckpoint(path + ": not a regular file");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return InvalidCheckpoint(path + ": " + std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  for (size_t count = 0; (count = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0;) {
    text.append(buffer, count);
    if (text.size() > kMaxFileBytes) {
      return InvalidCheckpoint(path + ": larger than " + std::to_string(kMaxFileBytes) +
                               " bytes, the most that is read of a JSON file");
    }
  }
  if (std::ferror(file.get()) != 0) return InvalidCheckpoint(path + ": cannot be read");
  const Status pointer = CheckIsNoGitLfsPointer(text, path);
  if (!pointer.ok()) return pointer;
  return ParseJson(text, path);
}

JsonObject::JsonObject(const Json& object, std::string where, Status& status)
    : object_(&object), where_(std::move(where)), status_(&status) {
  if (object.is_object()) return;
  object_ = &EmptyObject();
  if (status.ok()) status = InvalidCheckpoint(where_ + ": expected an object");
}

const Json* JsonObject::Find(const char* name) const {
  const auto member = object_->find(name);
  return member == object_->end() || member->is_null() ? nullptr : &*member;
}

bool JsonObject::Has(const char* name) const { return Find(name) != nullptr; }

std::vector<std::string> JsonObject::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_->items()) {
    if (!value.is_null() && value != false) names.push_back(name);
  }
  return names;
}

bool JsonObject::IsArray(const char* name) const {
  const Json* found = Find(name);
  return found != nullptr && found->is_array();
}

bool JsonObject::IsString(const char* name) const {
  const Json* found = Find(name);
  return found != nullptr && found->is_string();
}

void JsonObject::Refuse(const char* name, const char* expected) const {
  if (!status_->ok()) return;
  const Json* found = Find(name);
  std::string text =
      found == nullptr ? "nothing" : found->dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  *status_ =
      InvalidCheckpoint(where_ + ": \"" + name + "\": expected " + expected + ", found " + text);
}

JsonObject JsonObject::Object(const char* name) const {
  const Json* found = Find(name);
  if (found == nullptr) Refuse(name, "an object");
  return JsonObject(found == nullptr ? EmptyObject() : *found, where_ + ": " + name, *status_);
}

int64_t JsonObject::PositiveInteger(const char* name) const {
  const Json* found = Find(name);
  if (found != nullptr && found->is_number_integer()) {
    const int64_t value = found->get<int64_t>();
    if (value > 0 && value <= std::numeric_limits<int32_t>::max()) return value;
  }
  Refuse(name, "a positive integer");
  return 0;
}

double JsonObject::Number(const char* name, double fallback) const {
  const Json* found = Find(name);
  if (found == nullptr) return fallback;
  if (found->is_number()) return found->get<double>();
  Refuse(name, "a number");
  return fallback;
}

bool JsonObject::Boolean(const char* name, bool fallback) const {
  const Json* found = Find(name);
  if (found == nullptr) return fallback;
  if (found->is_boolean()) return found->get<bool>();
  Refuse(name, "true or false");
  return fallback;
}

std::string JsonObject::String(const char* name, const std::string& fallback) const {
  const Json* found = Find(name);
  if (found == nullptr) return fallback;
  if (found->is_string()) return found->get<std::string>();
  Refuse(name, "a string");
  return fallback;
}

std::vector<int64_t> JsonObject::Integers(const char* name) const {
  std::vector<int64_t> values;
  const Json* found = Find(name);
  if (found == nullptr || !found->is_array()) {
    Refuse(name, "a list of integers");
    return values;
  }
  for (const Json& value : *found) {
    if (!value.is_number_integer()) {
      Refuse(name, "a list of integers");
      return {};
    }
    values.push_back(value.get<int64_t>());
  }
  return values;
}

std::vector<double> JsonObject::Numbers(const char* name) const {
  std::vector<double> values;
  const Json* found = Find(name);
  if (found == nullptr || !found->is_array()) {
    Refuse(name, "a list of numbers");
    return values;
  }
  for (const Json& value : *found) {
    if (!value.is_number()) {
      Refuse(name, "a list of numbers");
      return {};
    }
    values.push_back(value.get<double>());
  }
  return values;
}

}  // namespace autoglm
