#include "model/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "model/checkpoint/json.h"

namespace autoglm {
namespace {

constexpr size_t kLengthBytes = 8;
// A git-lfs pointer is three short lines.
constexpr size_t kPointerBytes = 128;
// Limit of the format.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// A tensor's entry is an object of lists, and has about ten values.
constexpr JsonLimits kHeaderLimits = {.max_depth = 8, .max_values = 5'000'000};

struct StoredDtype {
  const char* name;
  size_t bytes;
};

constexpr StoredDtype kStoredDtypes[] = {{"F64", 8},     {"F32", 4},     {"F16", 2}, {"BF16", 2},
                                         {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I64", 8}, {"U64", 8},
                                         {"I32", 4},     {"U32", 4},     {"I16", 2}, {"U16", 2},
                                         {"I8", 1},      {"U8", 1},      {"BOOL", 1}};

void Unmap(void* data, size_t bytes, void*) { munmap(data, bytes); }

std::string VersionText(const struct stat& info) {
  return std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec) + " " + std::to_string(info.st_ino);
}

Result<DeviceBuffer> MapFile(const std::string& path, std::string& version) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return InvalidCheckpoint(path + ": " + std::strerror(errno));
  struct stat info = {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(file);
    return InvalidCheckpoint(path + ": not a regular file");
  }
  version = VersionText(info);
  const size_t bytes = static_cast<size_t>(info.st_size);
  if (bytes < kLengthBytes) {
    close(file);
    return InvalidCheckpoint(path + ": expected at least 8 bytes, found " + std::to_string(bytes));
  }
  void* data = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (data == MAP_FAILED) return EngineFailed(path + ": cannot be mapped to memory");
  return DeviceBuffer(data, bytes, Unmap);
}

// Returns the offset at which the tensors' bytes begin. The header's text lies between the header's
// length and this offset.
Result<size_t> DataOffset(const std::string& path, const DeviceBuffer& memory) {
  const Status pointer =
      CheckIsNoGitLfsPointer({memory.as<char>(), std::min(memory.bytes(), kPointerBytes)}, path);
  if (!pointer.ok()) return pointer;
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, memory.data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > memory.bytes() - kLengthBytes) {
    return InvalidCheckpoint(path + ": header of " + std::to_string(header_bytes) +
                             " bytes does not fit in a file of " + std::to_string(memory.bytes()) +
                             " bytes");
  }
  return static_cast<size_t>(kLengthBytes + header_bytes);
}

// Multiplies `bytes` by the extents of a shape. Returns false if the product overflows.
bool MultiplyShape(const std::vector<int64_t>& shape, size_t* bytes) {
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(*bytes, static_cast<size_t>(extent), bytes)) {
      return false;
    }
  }
  return true;
}

// Reads one entry of the header; `data` are the tensors' bytes.
Result<StoredTensor> ReadEntry(const std::string& path, const std::string& name, const Json& entry,
                               const char* data, size_t data_bytes) {
  const std::string where = path + ": tensor \"" + name + "\"";
  Status status;
  const JsonObject object(entry, where, status);
  StoredTensor tensor;
  tensor.name = name;
  tensor.dtype = object.String("dtype", "");
  tensor.shape = object.Integers("shape");
  const std::vector<int64_t> offsets = object.Integers("data_offsets");
  if (!status.ok()) return status;

  const StoredDtype* dtype =
      std::find_if(std::begin(kStoredDtypes), std::end(kStoredDtypes),
                   [&](const StoredDtype& known) { return tensor.dtype == known.name; });
  if (dtype == std::end(kStoredDtypes)) {
    return InvalidCheckpoint(where + ": unknown dtype \"" + tensor.dtype + "\"");
  }
  size_t expected_bytes = dtype->bytes;
  if (!MultiplyShape(tensor.shape, &expected_bytes)) {
    return InvalidCheckpoint(where + ": impossible shape " + ShapeText(tensor.shape));
  }
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0] ||
      static_cast<uint64_t>(offsets[1]) > data_bytes) {
    return InvalidCheckpoint(where + ": bytes " + ShapeText(offsets) + " are outside the " +
                             std::to_string(data_bytes) + " bytes of data in the file");
  }
  tensor.bytes = static_cast<size_t>(offsets[1] - offsets[0]);
  if (tensor.bytes != expected_bytes) {
    return InvalidCheckpoint(where + ": expected " + std::to_string(expected_bytes) +
                             " bytes for " + tensor.dtype + " " + ShapeText(tensor.shape) +
                             ", found " + std::to_string(tensor.bytes));
  }
  tensor.data = data + offsets[0];
  if (reinterpret_cast<uintptr_t>(tensor.data) % dtype->bytes != 0) {
    return InvalidCheckpoint(where + ": starts at byte " + std::to_string(offsets[0]) +
                             ", which is not aligned to " + tensor.dtype);
  }
  return tensor;
}

// Returns the bytes of the largest element of any tensor, 1 if there are none. Types that are not
// known are refused later.
size_t LargestElement(const Json& header) {
  size_t largest = 1;
  for (const auto& [name, entry] : header.items()) {
    const auto dtype = entry.is_object() ? entry.find("dtype") : entry.end();
    if (!entry.is_object() || dtype == entry.end() || !dtype->is_string()) continue;
    for (const StoredDtype& known : kStoredDtypes) {
      if (dtype->get<std::string>() == known.name) largest = std::max(largest, known.bytes);
    }
  }
  return largest;
}

// Copies part of a mapped file, whose pages are given back on the way.
Result<DeviceBuffer> CopyOfPages(const char* data, size_t bytes) {
  constexpr size_t kPiece = size_t{16} << 20;
  Result<DeviceBuffer> copy = AllocateHostMemory(bytes);
  if (!copy.ok()) return copy;
  for (size_t begin = 0; begin < bytes; begin += kPiece) {
    const size_t count = std::min(kPiece, bytes - begin);
    std::memcpy(copy.value().as<char>() + begin, data + begin, count);
    DropFilePages(data + begin, count);
  }
  return copy;
}

Status CheckOverlap(const std::string& path, const std::vector<StoredTensor>& tensors) {
  std::vector<const StoredTensor*> sorted;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.bytes > 0) sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const StoredTensor* a, const StoredTensor* b) { return a->data < b->data; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    const char* end = static_cast<const char*>(sorted[i - 1]->data) + sorted[i - 1]->bytes;
    if (end > sorted[i]->data) {
      return InvalidCheckpoint(path + ": tensors \"" + sorted[i - 1]->name + "\" and \"" +
                               sorted[i]->name + "\" overlap");
    }
  }
  return Status();
}

}  // namespace

std::string FileVersion(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? VersionText(info) : "";
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile file;
  Result<DeviceBuffer> mapped = MapFile(path, file.version_);
  if (!mapped.ok()) return mapped.status();
  file.path_ = path;
  file.memory_ = std::move(mapped.value());
  const Result<size_t> offset = DataOffset(path, file.memory_);
  if (!offset.ok()) return offset.status();

  const char* start = file.memory_.as<char>();
  const Result<Json> header =
      ParseJson({start + kLengthBytes, offset.value() - kLengthBytes}, path + ": header",
                kHeaderLimits);
  if (!header.ok()) return header.status();
  if (!header.value().is_object()) {
    return InvalidCheckpoint(path + ": header is not a JSON object");
  }
  const char* data = start + offset.value();
  const size_t data_bytes = file.memory_.bytes() - offset.value();
  const bool is_mapped = offset.value() % LargestElement(header.value()) == 0;
  if (!is_mapped) {
    // Early writers did not pad the header: the data is moved to a place where its elements are
    // aligned.
    Result<DeviceBuffer> aligned = CopyOfPages(data, data_bytes);
    if (!aligned.ok()) return aligned.status();
    file.memory_ = std::move(aligned.value());
    data = file.memory_.as<char>();
  }

  for (const auto& [name, entry] : header.value().items()) {
    if (name == "__metadata__") continue;
    Result<StoredTensor> tensor = ReadEntry(path, name, entry, data, data_bytes);
    if (!tensor.ok()) return tensor.status();
    tensor.value().is_mapped = is_mapped;
    file.tensors_.push_back(std::move(tensor.value()));
  }
  const Status overlap = CheckOverlap(path, file.tensors_);
  if (!overlap.ok()) return overlap;
  return file;
}

}  // namespace autoglm
