#include "golden.h"

#include <cmath>
#include <limits>
#include <utility>

namespace autoglm {
namespace {

SafetensorsFile OpenGolden(const std::string& fixture) {
  Result<SafetensorsFile> file =
      SafetensorsFile::Open(FixturePath(fixture) + "/golden.safetensors");
  CHECK(file.ok());
  return std::move(file.value());
}

template <typename T>
std::vector<T> ValuesOf(const StoredTensor& tensor) {
  const T* values = static_cast<const T*>(tensor.data);
  return std::vector<T>(values, values + tensor.bytes / sizeof(T));
}

}  // namespace

std::string FixturePath(const std::string& fixture) { return std::string(TESTDATA "/") + fixture; }

Golden::Golden(const std::string& fixture) : file_(OpenGolden(fixture)) {}

const StoredTensor& Golden::Find(const std::string& name, const char* dtype) const {
  const StoredTensor* found = nullptr;
  for (const StoredTensor& tensor : file_.tensors()) {
    if (tensor.name == name && tensor.dtype == dtype) found = &tensor;
  }
  CHECK(found != nullptr);
  return *found;
}

std::vector<float> Golden::Floats(const std::string& name) const {
  return ValuesOf<float>(Find(name, "F32"));
}

std::vector<int32_t> Golden::Integers(const std::string& name) const {
  return ValuesOf<int32_t>(Find(name, "I32"));
}

double RelativeError(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double error = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - expected[i];
    error += difference * difference;
    norm += static_cast<double>(expected[i]) * expected[i];
  }
  return std::sqrt(error / norm);
}

}  // namespace autoglm
