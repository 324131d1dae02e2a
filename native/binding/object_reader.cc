#include "binding/object_reader.h"

#include <cmath>
#include <limits>
#include <utility>

namespace autoglm::binding {
namespace {

// Largest integer up to which a JavaScript number holds all integers exactly.
constexpr double kMaxSafeInteger = 9007199254740991.0;

}  // namespace

ObjectReader::ObjectReader(const Napi::Value& value, std::string where, Status& status)
    : where_(std::move(where)), status_(&status) {
  if (value.IsObject()) {
    object_ = value.As<Napi::Object>();
  } else if (status.ok()) {
    status = InvalidRequest(where_ + ": expected an object");
  }
}

// Reads a property, but nothing after the first refusal: a property may be a getter that throws.
Napi::Value ObjectReader::Get(const char* name) const {
  if (!status_->ok() || object_.IsEmpty()) return Napi::Value();
  return object_.Get(name);
}

void ObjectReader::Refuse(const char* name, const std::string& expected) const {
  if (!status_->ok()) return;
  *status_ = InvalidRequest(where_ + ": " + name + ": expected " + expected);
}

bool ObjectReader::IsNull(const char* name) const {
  const Napi::Value value = Get(name);
  return value.IsEmpty() || value.IsNull() || value.IsUndefined();
}

ObjectReader ObjectReader::Object(const char* name) const {
  const Napi::Value value = Get(name);
  if (!value.IsObject()) Refuse(name, "an object");
  return ObjectReader(value, where_ + ": " + name, *status_);
}

std::vector<ObjectReader> ObjectReader::Objects(const char* name) const {
  std::vector<ObjectReader> readers;
  const Napi::Value value = Get(name);
  if (!value.IsArray()) {
    Refuse(name, "an array");
    return readers;
  }
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    readers.emplace_back(array.Get(i), where_ + ": " + name + "[" + std::to_string(i) + "]",
                         *status_);
  }
  return readers;
}

double ObjectReader::NumberIn(const char* name, double min, double max) const {
  const Napi::Value value = Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (value.IsNumber() && number == std::floor(number) && number >= min && number <= max) {
    return number;
  }
  Refuse(name, "an integer");
  return 0.0;
}

int64_t ObjectReader::Integer(const char* name) const {
  return static_cast<int64_t>(NumberIn(name, -kMaxSafeInteger, kMaxSafeInteger));
}

uint32_t ObjectReader::Uint32(const char* name) const {
  return static_cast<uint32_t>(NumberIn(name, 0.0, std::numeric_limits<uint32_t>::max()));
}

size_t ObjectReader::ByteCount(const char* name) const {
  return static_cast<size_t>(NumberIn(name, 0.0, kMaxSafeInteger));
}

float ObjectReader::Float(const char* name) const {
  const Napi::Value value = Get(name);
  if (value.IsNumber()) return value.As<Napi::Number>().FloatValue();
  Refuse(name, "a number");
  return 0.0f;
}

bool ObjectReader::Boolean(const char* name) const {
  const Napi::Value value = Get(name);
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  Refuse(name, "true or false");
  return false;
}

std::string ObjectReader::String(const char* name) const {
  const Napi::Value value = Get(name);
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  Refuse(name, "a string");
  return "";
}

std::vector<std::string> ObjectReader::StringOrStrings(const char* name) const {
  const Napi::Value value = Get(name);
  if (!value.IsArray()) return {String(name)};
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsString()) {
      Refuse(name, "a string or an array of strings");
      return {};
    }
    strings.push_back(item.As<Napi::String>().Utf8Value());
  }
  return strings;
}

Dtype ObjectReader::DtypeOf(const char* name) const {
  const std::string value = String(name);
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    if (value == DtypeName(dtype)) return dtype;
  }
  Refuse(name, "float32, bfloat16 or float16");
  return Dtype::kFloat32;
}

WeightFormat ObjectReader::WeightFormatOf(const char* name) const {
  WeightFormat format = {};
  if (!FindPlainFormat(String(name).c_str(), format)) Refuse(name, PlainFormatNames());
  return format;
}

template <typename T>
std::vector<T> ObjectReader::Copy(const char* name, napi_typedarray_type type,
                                  const char* expected) const {
  const Napi::Value value = Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    Refuse(name, expected);
    return {};
  }
  const Napi::TypedArrayOf<T> array = value.As<Napi::TypedArrayOf<T>>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<int32_t> ObjectReader::Int32s(const char* name) const {
  return Copy<int32_t>(name, napi_int32_array, "an Int32Array");
}

std::vector<uint32_t> ObjectReader::Uint32s(const char* name) const {
  return Copy<uint32_t>(name, napi_uint32_array, "a Uint32Array");
}

std::vector<float> ObjectReader::Floats(const char* name) const {
  return Copy<float>(name, napi_float32_array, "a Float32Array");
}

std::vector<double> ObjectReader::Doubles(const char* name) const {
  return Copy<double>(name, napi_float64_array, "a Float64Array");
}

std::vector<uint64_t> ObjectReader::BigUint64s(const char* name) const {
  return Copy<uint64_t>(name, napi_biguint64_array, "a BigUint64Array");
}

std::optional<Napi::Uint8Array> ObjectReader::Bytes(const char* name) const {
  const Napi::Value value = Get(name);
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    return value.As<Napi::Uint8Array>();
  }
  Refuse(name, "a Uint8Array");
  return std::nullopt;
}

std::optional<Napi::Float32Array> ObjectReader::FloatArray(const char* name) const {
  const Napi::Value value = Get(name);
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) {
    return value.As<Napi::Float32Array>();
  }
  Refuse(name, "a Float32Array");
  return std::nullopt;
}

}  // namespace autoglm::binding
