#include "model/checkpoint/json.h"

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

const Json& EmptyObject() {
  static const Json empty = Json::object();
  return empty;
}

}  // namespace

Result<Json> ReadJsonFile(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return InvalidCheckpoint(path + ": " + std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  for (size_t count = 0; (count = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0;) {
    text.append(buffer, count);
  }
  if (std::ferror(file.get()) != 0) return InvalidCheckpoint(path + ": cannot be read");
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return InvalidCheckpoint(path + ": not valid JSON");
  return json;
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
