#ifndef AUTOGLM_MODEL_SAFETENSORS_H_
#define AUTOGLM_MODEL_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/memory.h"

// One file of https://github.com/huggingface/safetensors: a header length, a JSON header, the bytes
// of the tensors.

namespace autoglm {

// A tensor as a file stores it; `data` is aligned to its elements and lies inside the file's
// memory.
struct StoredTensor {
  std::string name;
  std::string dtype;  // "F32", "BF16", "F16", "I8", ...
  std::vector<int64_t> shape;
  const void* data = nullptr;
  size_t bytes = 0;
  bool is_mapped = false;  // data are pages of the file, not a copy
};

// A file mapped to memory. Opening it checks the type, shape, range and overlap of every tensor.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  // Returns what tells this content of the file from any other: its size, time of change and inode.
  const std::string& version() const { return version_; }

 private:
  std::string path_;
  std::string version_;
  DeviceBuffer memory_;
  std::vector<StoredTensor> tensors_;
};

// Returns size, time of change (ns) and inode of a file as text; "" if there is no such file.
std::string FileVersion(const std::string& path);

// Returns a shape as text such as "[2, 3]", for messages.
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace autoglm

#endif  // AUTOGLM_MODEL_SAFETENSORS_H_
