#ifndef AUTOGLM_BINDING_OBJECT_READER_H_
#define AUTOGLM_BINDING_OBJECT_READER_H_

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "base/weight_format.h"

namespace autoglm::binding {

// Reads the properties of a JavaScript object with every type checked. The first property of
// another type sets `status`, and later reads return zeros, so that a caller checks once at the
// end.
class ObjectReader {
 public:
  // `where` names the object in messages, such as "step plan".
  ObjectReader(const Napi::Value& value, std::string where, Status& status);

  // The first refusal, if there has been one.
  Status& status() const { return *status_; }
  bool IsNull(const char* name) const;  // null or undefined
  ObjectReader Object(const char* name) const;
  // Reads the items of an array of objects.
  std::vector<ObjectReader> Objects(const char* name) const;

  int64_t Integer(const char* name) const;
  uint32_t Uint32(const char* name) const;
  // Reads a number of bytes, or a place in memory.
  size_t ByteCount(const char* name) const;
  float Float(const char* name) const;
  std::string String(const char* name) const;
  // Reads a string, or an array of strings.
  std::vector<std::string> StringOrStrings(const char* name) const;
  bool Boolean(const char* name) const;
  // Reads "float32", "bfloat16" or "float16".
  Dtype DtypeOf(const char* name) const;
  WeightFormat WeightFormatOf(const char* name) const;

  // Copies a typed array of exactly this element type.
  std::vector<int32_t> Int32s(const char* name) const;
  std::vector<uint32_t> Uint32s(const char* name) const;
  std::vector<float> Floats(const char* name) const;
  std::vector<double> Doubles(const char* name) const;
  std::vector<uint64_t> BigUint64s(const char* name) const;
  // Returns the array itself, which the caller keeps alive.
  std::optional<Napi::Uint8Array> Bytes(const char* name) const;
  std::optional<Napi::Float32Array> FloatArray(const char* name) const;

 private:
  Napi::Value Get(const char* name) const;
  double NumberIn(const char* name, double min, double max) const;
  void Refuse(const char* name, const std::string& expected) const;
  template <typename T>
  std::vector<T> Copy(const char* name, napi_typedarray_type type, const char* expected) const;

  Napi::Object object_;
  std::string where_;
  Status* status_;
};

}  // namespace autoglm::binding

#endif  // AUTOGLM_BINDING_OBJECT_READER_H_
