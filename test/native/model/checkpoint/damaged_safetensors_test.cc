#include "model/checkpoint/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "temporary_directory.h"

// Damages a valid file in ways that repeat. A failure names the seed and the case; MUTATION_SEED=7
// in the environment runs other cases.

namespace autoglm {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr int kNumRandom = 4000;
// Bytes that damage uses often: the ends of signed and unsigned ranges, and characters with a
// meaning in JSON.
constexpr char kEdges[] = {'\x00', '\x01', '\x7f', '\x80', '\xff', '"', '{', '}', '[',
                           ']',    ',',    '-',    '9',    'e',    '.', '\\'};

// Repeatable numbers (xorshift32).
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed == 0 ? 1 : seed) {}

  size_t Below(size_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_ % limit;
  }

 private:
  uint32_t state_;
};

std::string ValidFile() {
  std::string header =
      R"({"__metadata__":{"format":"pt"},)"
      R"("a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},)"
      R"("c":{"dtype":"I8","shape":[1,1,8],"data_offsets":[32,40]},)"
      R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[40,48]},)"
      R"("none":{"dtype":"U8","shape":[0,7],"data_offsets":[48,48]}})";
  while (header.size() % 8 != 0) header += ' ';
  const uint64_t length = header.size();
  std::string content(kLengthBytes, '\0');
  std::memcpy(content.data(), &length, kLengthBytes);
  return content + header + std::string(48, '\x11');
}

size_t ElementBytes(const std::string& dtype) {
  if (dtype == "BOOL" || dtype.find('8') != std::string::npos) return 1;
  if (dtype.find("16") != std::string::npos) return 2;
  return dtype.find("32") != std::string::npos ? 4 : 8;
}

// Checks that the tensors lie within their file: reads every byte of each.
void CheckTensors(const SafetensorsFile& file, size_t file_bytes) {
  size_t total_bytes = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    size_t expected_bytes = ElementBytes(tensor.dtype);
    CHECK_EQ(reinterpret_cast<uintptr_t>(tensor.data) % expected_bytes, 0);
    for (const int64_t extent : tensor.shape) expected_bytes *= static_cast<size_t>(extent);
    CHECK_EQ(tensor.bytes, expected_bytes);
    unsigned sum = 0;
    const auto* bytes = static_cast<const unsigned char*>(tensor.data);
    for (size_t i = 0; i < tensor.bytes; ++i) sum += bytes[i];
    CHECK_LE(sum, 255 * tensor.bytes);
    total_bytes += tensor.bytes;
  }
  CHECK_LE(total_bytes, file_bytes);
}

struct Outcomes {
  int num_read = 0;
  int num_refused = 0;
};

// Runner that opens mutants one after the other and counts the outcomes.
class Damage {
 public:
  void Open(const std::string& content, const std::string& what) {
    CAPTURE(what);
    const std::string path = directory_.Write("model.safetensors", content);
    const Result<SafetensorsFile> file = SafetensorsFile::Open(path);
    if (file.ok()) {
      CheckTensors(file.value(), content.size());
      outcomes_.num_read += 1;
      return;
    }
    CHECK_EQ(file.status().reason(), Reason::kInvalidCheckpoint);
    CHECK_NE(file.status().message().find(path), std::string::npos);
    outcomes_.num_refused += 1;
  }

  // Checks that some mutants were read and some refused, or the damage would prove nothing.
  void CheckBothHappened() const {
    CHECK_GT(outcomes_.num_read, 0);
    CHECK_GT(outcomes_.num_refused, 0);
  }

 private:
  const TemporaryDirectory directory_;
  Outcomes outcomes_;
};

uint32_t Seed() {
  const char* given = std::getenv("MUTATION_SEED");
  return given == nullptr ? 0x9e3779b9u : static_cast<uint32_t>(std::strtoul(given, nullptr, 10));
}

// Returns the content with one edit at a random place of the header's length or text.
std::string Edited(std::string content, Numbers& numbers) {
  const size_t at = numbers.Below(content.size());
  const size_t length = std::min(1 + numbers.Below(16), content.size() - at);
  switch (numbers.Below(6)) {
    case 0:
      content[at] = static_cast<char>(content[at] ^ (1 << numbers.Below(8)));
      return content;
    case 1:
      content[at] = kEdges[numbers.Below(sizeof(kEdges))];
      return content;
    case 2:
      return content.insert(at, length, kEdges[numbers.Below(sizeof(kEdges))]);
    case 3:
      return content.erase(at, length);
    case 4: {
      const std::string stretch = content.substr(numbers.Below(content.size()), length);
      return content.insert(at, stretch);
    }
    default:
      return content.substr(0, at);
  }
}

// Corrects the length in front of the header, so that the parser reads the damaged text.
void RepairLength(std::string& content, size_t data_bytes) {
  if (content.size() < kLengthBytes + data_bytes) return;
  const uint64_t length = content.size() - kLengthBytes - data_bytes;
  std::memcpy(content.data(), &length, kLengthBytes);
}

TEST_CASE("A safetensors file that is cut anywhere is refused or read within its bytes") {
  const std::string valid = ValidFile();
  Damage damage;

  for (size_t length = 0; length <= valid.size(); ++length) {
    damage.Open(valid.substr(0, length), "cut to " + std::to_string(length));
  }

  damage.CheckBothHappened();
}

TEST_CASE("A safetensors file with any byte of its header changed is refused or read within it") {
  const std::string valid = ValidFile();
  Damage damage;

  for (size_t at = 0; at < valid.size() - 48; ++at) {
    for (const char edge : kEdges) {
      std::string content = valid;
      content[at] = edge;
      damage.Open(content, "byte " + std::to_string(at) + " is " + std::to_string(edge));
    }
  }

  damage.CheckBothHappened();
}

TEST_CASE("A safetensors file with several edits is refused or read within its bytes") {
  const std::string valid = ValidFile();
  Numbers numbers(Seed());
  Damage damage;

  for (int i = 0; i < kNumRandom; ++i) {
    std::string content = valid;
    for (size_t left = 1 + numbers.Below(3); left > 0 && !content.empty(); --left) {
      content = Edited(content, numbers);
    }
    if (numbers.Below(2) == 0) RepairLength(content, 48);
    damage.Open(content, "MUTATION_SEED=" + std::to_string(Seed()) + ", case " + std::to_string(i));
  }

  damage.CheckBothHappened();
}

}  // namespace
}  // namespace autoglm
