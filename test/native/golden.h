#ifndef AUTOGLM_TEST_NATIVE_GOLDEN_H_
#define AUTOGLM_TEST_NATIVE_GOLDEN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "model/checkpoint/safetensors.h"

namespace autoglm {

// The tensors that a reference implementation saved beside a fixture.
class Golden {
 public:
  // Reads the tensors of a fixture, a folder of test/testdata.
  explicit Golden(const std::string& fixture);

  std::vector<float> Floats(const std::string& name) const;
  std::vector<int32_t> Integers(const std::string& name) const;

 private:
  const StoredTensor& Find(const std::string& name, const char* dtype) const;

  SafetensorsFile file_;
};

// Returns the path of a fixture folder.
std::string FixturePath(const std::string& fixture);

// Returns the Euclidean norm of actual - expected over that of expected; infinity if the sizes
// differ.
double RelativeError(const std::vector<float>& actual, const std::vector<float>& expected);

}  // namespace autoglm

#endif  // AUTOGLM_TEST_NATIVE_GOLDEN_H_
