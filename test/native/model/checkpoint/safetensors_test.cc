#include "model/checkpoint/safetensors.h"

#include <cstring>

#include "doctest/doctest.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

// Returns a file of this header and these data bytes. The header is padded to 8 bytes, as writers
// do.
std::string FileOf(std::string header, const std::string& data) {
  while (header.size() % 8 != 0) header += ' ';
  const uint64_t length = header.size();
  std::string content(8, '\0');
  std::memcpy(content.data(), &length, 8);
  return content + header + data;
}

Result<SafetensorsFile> OpenContent(const std::string& content) {
  const TemporaryDirectory directory;
  return SafetensorsFile::Open(directory.Write("model.safetensors", content));
}

void CheckRefusal(const std::string& content, const std::string& message) {
  CAPTURE(message);
  const Result<SafetensorsFile> file = OpenContent(content);
  REQUIRE_FALSE(file.ok());
  CHECK_EQ(file.status().reason(), Reason::kInvalidCheckpoint);
  CHECK_NE(file.status().message().find("model.safetensors"), std::string::npos);
  CHECK_MESSAGE(file.status().message().find(message) != std::string::npos,
                file.status().message());
}

TEST_CASE("A safetensors file gives each tensor's type, shape and bytes") {
  const float values[] = {1.5f, -2.0f};
  const Result<SafetensorsFile> file =
      OpenContent(FileOf(R"({"__metadata__":{"format":"pt"},
                             "a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                         std::string(reinterpret_cast<const char*>(values), 8)));

  REQUIRE(file.ok());
  REQUIRE_EQ(file.value().tensors().size(), 1);
  const StoredTensor& tensor = file.value().tensors()[0];
  CHECK_EQ(tensor.name, "a");
  CHECK_EQ(tensor.dtype, "F32");
  CHECK_EQ(tensor.shape, std::vector<int64_t>{1, 2});
  CHECK_EQ(std::memcmp(tensor.data, values, 8), 0);
}

TEST_CASE("A header without padding is read all the same, its data moved to where it is aligned") {
  const float value = 3.25f;
  const std::string header = R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})";
  REQUIRE_NE(header.size() % 4, 0);
  std::string content(8, '\0');
  content[0] = static_cast<char>(header.size());
  content += header + std::string(reinterpret_cast<const char*>(&value), 4);

  const Result<SafetensorsFile> file = OpenContent(content);

  REQUIRE(file.ok());
  CHECK_EQ(*static_cast<const float*>(file.value().tensors()[0].data), 3.25f);
}

TEST_CASE("A file without room for its header is refused") {
  CheckRefusal("", "at least 8 bytes");
  CheckRefusal("1234567", "at least 8 bytes");
  CheckRefusal(std::string(8, '\xff'), "does not fit");
  CheckRefusal(std::string("\x10\0\0\0\0\0\0\0{}", 10), "header of 16 bytes does not fit");
}

TEST_CASE("A header that is no JSON object is refused") {
  CheckRefusal(FileOf("{", ""), "header: not valid JSON");
  CheckRefusal(FileOf("[]", ""), "header is not a JSON object");
}

TEST_CASE("A header of values deep within each other is refused before it is parsed") {
  for (const char* nested : {"[", "{\"a\":"}) {
    std::string header;
    for (int i = 0; i < 100'000; ++i) header += nested;
    CheckRefusal(FileOf(header, ""), "more than 8 objects and lists within each other");
  }
}

TEST_CASE("A git-lfs pointer in place of weights is refused with what to do") {
  CheckRefusal("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 19876541\n",
               "is a git-lfs pointer, not the file it stands for; run \"git lfs pull\"");
}

TEST_CASE("A tensor outside the file is refused with both numbers") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "12345678"),
               "bytes [0, 16] are outside the 8 bytes of data");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", "12345678"),
               "are outside");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", "12345678"),
               "are outside");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "12345678"),
               "are outside");
}

TEST_CASE("A tensor whose bytes do not match its shape is refused with both numbers") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,4]}})", "12345678"),
               "expected 8 bytes for BF16 [2, 2], found 4");
}

TEST_CASE("A shape whose product overflows is refused") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],
                         "data_offsets":[0,0]}})",
                      ""),
               "impossible shape");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}})", ""),
               "impossible shape");
}

TEST_CASE("A dtype that does not exist is refused by name") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", "1234"),
               "unknown dtype \"F31\"");
}

TEST_CASE("Members of the wrong JSON type are refused") {
  CheckRefusal(FileOf(R"({"a":3})", ""), "expected an object");
  CheckRefusal(FileOf(R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,4]}})", "1234"),
               "\"dtype\": expected a string");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})", "1234"),
               "\"shape\": expected a list of integers");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "1234"),
               "\"shape\": expected a list of integers");
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"),
               "\"data_offsets\": expected a list of integers, found nothing");
}

TEST_CASE("Tensors that overlap are refused by name") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                          "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                      "123456789012"),
               "tensors \"a\" and \"b\" overlap");
}

TEST_CASE("A tensor that is not aligned to its elements is refused") {
  CheckRefusal(FileOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", "12345678"),
               "not aligned");
}

TEST_CASE("A path that is no file is refused") {
  const TemporaryDirectory directory;

  const Result<SafetensorsFile> missing = SafetensorsFile::Open(directory.path() + "/none");
  const Result<SafetensorsFile> folder = SafetensorsFile::Open(directory.path());

  REQUIRE_FALSE(missing.ok());
  CHECK_NE(missing.status().message().find("No such file"), std::string::npos);
  REQUIRE_FALSE(folder.ok());
  CHECK_NE(folder.status().message().find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace autoglm
