#include "model/weights/weight_cache_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "doctest/doctest.h"
#include "model/weights/weight_cache_layout.h"
#include "model/weights/weight_cache_writer.h"
#include "temporary_directory.h"

namespace autoglm {
namespace {

constexpr char kKey[] = "checkpoint of a test\n";

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A packed matrix of integers and a vector, in a file of a folder of their own.
class Folder {
 public:
  Folder() : numbers_(1000) {
    std::iota(numbers_.begin(), numbers_.end(), 0.5f);
    weights_ = {{{.is_packed = true,
                  .shape = {.format = {.type = WeightType::kInt4,
                                       .group_size = 32,
                                       .scale_dtype = Dtype::kBfloat16,
                                       .has_zero_points = true},
                            .columns = 6,
                            .depth = 64},
                  .bytes = 320},
                 numbers_.data()},
                {PlainEntry(Dtype::kFloat32, 1000), numbers_.data()}};
  }

  std::string path() const { return folder_.path() + "/model.weights"; }
  Status Write(const std::function<bool(size_t)>& may_go_on = [](size_t) { return true; }) const {
    return WriteWeightCache(folder_.path() + "/model.tmp", path(), {kKey, weights_}, may_go_on);
  }
  Result<std::optional<WeightCacheFile>> Open(const std::string& key = kKey) const {
    return WeightCacheFile::Open(path(), key);
  }
  // Returns why the file is refused; "" if it is not.
  std::string Refusal(const std::string& key = kKey) const { return Open(key).status().message(); }
  void Replace(const std::string& content) const { folder_.Write("model.weights", content); }
  size_t NumFiles() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()),
                                             std::filesystem::directory_iterator()));
  }
  const std::vector<HeldWeight>& weights() const { return weights_; }

  // Changes a file whose checksums are then right again, as someone would who means harm.
  void Forge(const std::function<void(CacheHeader&, CacheEntry&)>& change) const {
    std::string content = ReadAll(path());
    CacheHeader header;
    std::memcpy(&header, content.data(), sizeof(header));
    const size_t table = sizeof(header) + header.key_bytes;
    const size_t table_end = table + header.num_entries * sizeof(CacheEntry);
    CacheEntry entry;
    std::memcpy(&entry, content.data() + table, sizeof(entry));
    change(header, entry);
    std::memcpy(content.data() + table, &entry, sizeof(entry));
    header.table_checksum = Checksum(content.data() + sizeof(header), table_end - sizeof(header));
    header.header_checksum = Checksum(&header, offsetof(CacheHeader, header_checksum));
    std::memcpy(content.data(), &header, sizeof(header));
    Replace(content);
  }

 private:
  const TemporaryDirectory folder_;
  std::vector<float> numbers_;
  std::vector<HeldWeight> weights_;
};

TEST_CASE("A file of packed weights gives back what was written, at aligned places") {
  const Folder folder;

  REQUIRE(folder.Write().ok());
  const Result<std::optional<WeightCacheFile>> opened = folder.Open();

  REQUIRE(opened.ok());
  const WeightCacheFile& file = *opened.value();
  REQUIRE_EQ(file.num_weights(), 2);
  for (size_t i = 0; i < 2; ++i) {
    const HeldWeight& weight = folder.weights()[i];
    CHECK(file.entry(i) == weight.entry);
    CHECK_EQ(std::memcmp(file.data(i), weight.data, weight.entry.bytes), 0);
    CHECK_EQ(reinterpret_cast<uintptr_t>(file.data(i)) % 64, 0);
  }
  CHECK(file.CheckWeights().ok());
  CHECK_EQ(folder.NumFiles(), 1);
}

TEST_CASE("There is nothing to open before a file was written") {
  const Result<std::optional<WeightCacheFile>> opened = Folder().Open();

  REQUIRE(opened.ok());
  CHECK_FALSE(opened.value().has_value());
}

TEST_CASE("A file of another checkpoint, format or layout is refused") {
  const Folder folder;
  REQUIRE(folder.Write().ok());

  CHECK_NE(folder.Refusal("another key").find("another checkpoint"), std::string::npos);
  CHECK_NE(folder.Refusal(std::string(kKey) + "and more"), "");
}

TEST_CASE("A file with any damaged byte of header, key or table is refused") {
  const Folder folder;
  REQUIRE(folder.Write().ok());
  const std::string content = ReadAll(folder.path());
  const size_t table_end = sizeof(CacheHeader) + std::strlen(kKey) + 2 * sizeof(CacheEntry);

  for (size_t i = 0; i < table_end; ++i) {
    CAPTURE(i);
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    folder.Replace(damaged);

    CHECK_NE(folder.Refusal(), "");
  }
}

TEST_CASE("A file of another length is refused") {
  const Folder folder;
  REQUIRE(folder.Write().ok());
  const std::string content = ReadAll(folder.path());

  for (const size_t length : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{200},
                              size_t{4096}, content.size() - 1}) {
    CAPTURE(length);
    folder.Replace(content.substr(0, length));
    CHECK_NE(folder.Refusal(), "");
  }
  folder.Replace(content + "x");
  CHECK_NE(folder.Refusal(), "");
}

TEST_CASE("A forged header or table with right checksums reaches nothing outside the file") {
  struct Forgery {
    const char* what;
    void (*change)(CacheHeader& header, CacheEntry& entry);
  };
  const Forgery forgeries[] = {
      {"version", [](CacheHeader& h, CacheEntry&) { h.version = 2; }},
      {"key size", [](CacheHeader& h, CacheEntry&) { h.key_bytes = ~uint64_t{0}; }},
      {"entries", [](CacheHeader& h, CacheEntry&) { h.num_entries = ~uint64_t{0} / 56; }},
      {"data offset", [](CacheHeader& h, CacheEntry&) { h.data_offset = 0; }},
      {"data offset off a page", [](CacheHeader& h, CacheEntry&) { h.data_offset += 64; }},
      {"file size", [](CacheHeader& h, CacheEntry&) { h.file_bytes *= 2; }},
      {"offset", [](CacheHeader&, CacheEntry& e) { e.offset = ~uint64_t{0} - 63; }},
      {"offset in the header", [](CacheHeader&, CacheEntry& e) { e.offset = 0; }},
      {"alignment", [](CacheHeader&, CacheEntry& e) { e.offset += 4; }},
      {"bytes", [](CacheHeader&, CacheEntry& e) { e.bytes = ~uint64_t{0}; }},
      {"bytes past the end", [](CacheHeader& h, CacheEntry& e) { e.bytes = h.file_bytes; }},
      {"type", [](CacheHeader&, CacheEntry& e) { e.type = 9; }},
      {"scale type", [](CacheHeader&, CacheEntry& e) { e.scale_dtype = 3; }},
      {"group", [](CacheHeader&, CacheEntry& e) { e.group_size = 5000; }},
      {"columns", [](CacheHeader&, CacheEntry& e) { e.columns = -1; }},
      {"depth", [](CacheHeader&, CacheEntry& e) { e.depth = -1; }}};
  for (const Forgery& forgery : forgeries) {
    CAPTURE(forgery.what);
    const Folder folder;
    REQUIRE(folder.Write().ok());

    folder.Forge(forgery.change);

    CHECK_NE(folder.Refusal(), "");
  }
}

TEST_CASE("A damaged weight is found when all are read") {
  const Folder folder;
  REQUIRE(folder.Write().ok());
  std::string content = ReadAll(folder.path());
  content[content.size() - 100] ^= 1;
  folder.Replace(content);

  const Result<std::optional<WeightCacheFile>> opened = folder.Open();

  REQUIRE(opened.ok());
  CHECK_NE(opened.value()->CheckWeights().message().find("weight 1 is damaged"),
           std::string::npos);
}

TEST_CASE("A file that others may write is refused") {
  const Folder folder;
  REQUIRE(folder.Write().ok());
  REQUIRE_EQ(chmod(folder.path().c_str(), 0666), 0);

  CHECK_NE(folder.Refusal().find("can be written by others"), std::string::npos);
}

TEST_CASE("A write that is called off leaves nothing") {
  const Folder folder;

  const Status written = folder.Write([](size_t) { return false; });

  CHECK(written.reason() == Reason::kEngineClosed);
  CHECK_EQ(folder.NumFiles(), 0);
}

TEST_CASE("A write for which there is no room leaves nothing, and the file before it") {
  const Folder folder;
  REQUIRE(folder.Write().ok());
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small = {2048, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);

  const Status written = folder.Write();

  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_FALSE(written.ok());
  CHECK_EQ(folder.NumFiles(), 1);
  CHECK_EQ(folder.Refusal(), "");
}

TEST_CASE("A write that cannot take its place leaves nothing") {
  const Folder folder;
  std::filesystem::create_directories(folder.path() + "/occupied");

  const Status written = folder.Write();

  CHECK_FALSE(written.ok());
  CHECK_EQ(folder.NumFiles(), 1);
}

}  // namespace
}  // namespace autoglm
